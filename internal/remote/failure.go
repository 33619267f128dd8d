package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/reasond/reasond/internal/llm"
)

// upstreamError is an error body in any of the shapes that upstreams use:
// {"error":{...}}, {"error":"text"}, {"object":"error","message":...} and
// FastAPI's {"detail":...}.
type upstreamError struct {
	Message string          `json:"message"`
	Type    string          `json:"type"`
	Param   string          `json:"param"`
	Code    json.RawMessage `json:"code"` // number or string
}

// maxMessage bounds how much of an upstream's text goes on to the client.
const maxMessage = 1024

// parseError reads an error body; what it does not understand is left empty.
func parseError(raw []byte) upstreamError {
	var outer struct {
		Error  json.RawMessage `json:"error"`
		Detail json.RawMessage `json:"detail"`
		upstreamError
	}
	_ = json.Unmarshal(raw, &outer)
	e := outer.upstreamError
	for _, inner := range []json.RawMessage{outer.Error, outer.Detail, raw} {
		if e.Message != "" {
			break
		}
		inner = bytes.TrimSpace(inner)
		switch {
		case len(inner) == 0 || string(inner) == "null":
		case inner[0] == '"':
			_ = json.Unmarshal(inner, &e.Message)
		case inner[0] == '{':
			_ = json.Unmarshal(inner, &e)
		case inner[0] == '[': // FastAPI: what is wrong with which field
			e.Message = string(inner)
		}
	}
	if len(e.Message) > maxMessage {
		e.Message = strings.ToValidUTF8(e.Message[:maxMessage], "") + "…"
	}
	return e
}

// status is the HTTP status that an error inside a stream names in code.
func (e *upstreamError) status() int {
	code := strings.Trim(string(e.Code), `"`)
	if n, err := strconv.Atoi(code); err == nil && n >= 400 && n < 600 {
		return n
	}
	return http.StatusInternalServerError
}

// refusal is an upstream's error as ours. The key is never repeated, even if
// the upstream does.
func (e *Engine) refusal(status int, header http.Header, raw []byte) *llm.Error {
	u := parseError(raw)
	if key := e.cfg.APIKey; key != "" {
		u.Message = strings.ReplaceAll(u.Message, key, "…")
		u.Param = strings.ReplaceAll(u.Param, key, "…")
	}
	if u.Message == "" || !utf8.ValidString(u.Message) {
		u.Message = "the upstream refused the request"
	}
	refused := status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge || status == http.StatusUnprocessableEntity
	switch {
	case u.overflow() || refused && u.speaksOfContext():
		return &llm.Error{Kind: llm.TooLong, Param: u.Param, Code: "context_length_exceeded", Message: u.Message}
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		out := llm.Errorf(llm.Overloaded, "", "the server behind this one is overloaded")
		out.RetryAfter, out.Err = e.retryAfter(header), fmt.Errorf("upstream: %d %s", status, u.Message)
		return out
	case status == http.StatusNotFound:
		return &llm.Error{Kind: llm.NotFound, Code: "model_not_found", Message: u.Message}
	case refused:
		return &llm.Error{Kind: llm.Invalid, Param: u.Param, Message: u.Message}
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return &llm.Error{Kind: llm.Internal, Message: "the upstream did not accept our key", Err: fmt.Errorf("status %d", status)}
	}
	return &llm.Error{Kind: llm.Internal, Message: "the upstream failed", Err: fmt.Errorf("status %d: %s", status, u.Message)}
}

// overflow reports whether the request is longer than the model's context, by
// OpenAI's code or llama-server's type, which comes with several statuses.
func (e *upstreamError) overflow() bool {
	return strings.Contains(string(e.Code), "context_length_exceeded") || e.Type == "exceed_context_size_error"
}

// speaksOfContext looks for the same in the words that the others use.
func (e *upstreamError) speaksOfContext() bool {
	text := strings.ToLower(e.Message)
	for _, words := range []string{
		"maximum context length", "context length", "context size", "context window", // OpenAI, vLLM, SGLang, llama-server
		"max_model_len", "max_req_total_len", "max_req_input_len", "session_len", // vLLM, LightLLM, LMDeploy
		"maximum allowed length", "maximum allowed input length", // SGLang
	} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// maxRetryAfter bounds what an upstream can tell our clients to wait.
const maxRetryAfter = time.Hour

// retryAfter reads the header, in seconds or as a date; a second if there is
// none.
func (e *Engine) retryAfter(header http.Header) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	wait := time.Second
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		wait = time.Duration(min(n, int(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = time.Until(at)
	}
	return min(max(wait, time.Second), maxRetryAfter)
}

// unreachable is a connection that could not be made. The URL stays out of it.
func unreachable(err error) *llm.Error {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	return &llm.Error{Kind: llm.Stopping, Message: "the server behind this one cannot be reached", RetryAfter: time.Second, Err: err}
}

// How a stream ends when it does not end by itself.
var (
	errClosed   = errors.New("the stream was closed")
	errComplete = errors.New("the answer is complete")
	errStopping = llm.Errorf(llm.Stopping, "", "the server is stopping")
	errSilent   = llm.Errorf(llm.Internal, "", "the upstream fell silent")
	errCut      = llm.Errorf(llm.Internal, "", "the upstream ended before the answer did")
)
