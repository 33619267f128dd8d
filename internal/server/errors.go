package server

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
)

// statusClientClosed is logged where the client went away; nobody receives it.
const statusClientClosed = 499

// failure is an error as the client sees it.
type failure struct {
	status     int
	kind       string // OpenAI's error.type
	code       string
	param      string
	message    string
	retryAfter time.Duration
}

func (f *failure) Error() string { return f.message }

// failf makes an error that belongs to HTTP and to no layer below.
func failf(status int, code, message string) *failure {
	return &failure{status: status, code: code, message: message}
}

// describe maps every error to what the client is told. It is the only place
// that knows statuses. Text of errors that are not meant for clients stays out.
func describe(err error) *failure {
	f := &failure{status: http.StatusInternalServerError, message: "internal server error"}
	var own *failure
	var wire *openai.Error
	var domain *llm.Error
	switch {
	case errors.As(err, &own):
		copied := *own
		f = &copied
	case errors.As(err, &wire):
		f = &failure{status: http.StatusBadRequest, code: wire.Code, param: wire.Param, message: wire.Message}
	case errors.As(err, &domain):
		if f.status = kindStatus(domain.Kind); domain.Kind != llm.Internal {
			f.code, f.param, f.message, f.retryAfter = domain.Code, domain.Param, domain.Message, domain.RetryAfter
		}
		switch {
		case f.code != "":
		case domain.Kind == llm.Unsupported:
			f.code = openai.CodeUnsupported
		case domain.Kind == llm.Invalid:
			f.code = openai.CodeInvalidValue
		}
	case errors.Is(err, context.Canceled):
		f = &failure{status: statusClientClosed, message: "the client closed the connection"}
	}
	if f.kind == "" {
		f.kind = errorType(f.status)
	}
	if f.retryAfter == 0 && (f.status == http.StatusTooManyRequests || f.status == http.StatusServiceUnavailable) {
		f.retryAfter = time.Second
	}
	return f
}

func kindStatus(k llm.Kind) int {
	switch k {
	case llm.Invalid, llm.TooLong, llm.Unsupported:
		return http.StatusBadRequest
	case llm.NotFound:
		return http.StatusNotFound
	case llm.Overloaded:
		return http.StatusTooManyRequests
	case llm.Stopping:
		return http.StatusServiceUnavailable
	case llm.Cancelled:
		return statusClientClosed
	}
	return http.StatusInternalServerError
}

func errorType(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "authentication_error"
	case status == http.StatusForbidden:
		return "permission_error"
	case status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case status >= 500:
		return "server_error"
	}
	return "invalid_request_error"
}

func (f *failure) body() []byte {
	body, err := json.Marshal(f.envelope())
	if err != nil {
		panic(err) // strings only
	}
	return body
}

// envelope is the failure as OpenAI has it.
func (f *failure) envelope() openai.ErrorResponse {
	detail := openai.ErrorDetail{Message: f.message, Type: f.kind}
	if f.param != "" {
		detail.Param = &f.param
	}
	if f.code != "" {
		detail.Code = &f.code
	}
	return openai.ErrorResponse{Error: detail}
}

// fail ends a request with an error, in the form that is still possible: a
// status and the envelope; in a stream that has begun, an error event; in a
// body that has begun, a cut connection.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	f := describe(err)
	x.err, x.failed = err, f.status
	switch {
	case f.status == statusClientClosed:
		// Whoever still listens (a half-closed client) must not take what was
		// sent so far for a whole answer.
		panic(http.ErrAbortHandler)
	case !x.w.wrote():
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Del("Cache-Control")
		if f.status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", "Bearer")
		}
		if f.retryAfter > 0 {
			h.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.retryAfter.Seconds()))))
		}
		if s.gate.draining() {
			h.Set("Connection", "close")
		}
		w.WriteHeader(f.status)
		_, _ = w.Write(x.speaks().fault(f))
	case x.w.events:
		x.put(message{name: "error", body: x.speaks().fault(f)})
		_ = x.push(time.Now())
	default:
		panic(http.ErrAbortHandler)
	}
}

// notFound and methodNotAllowed are the router's own answers.
func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	s.fail(w, r, failf(http.StatusNotFound, "not_found", "there is nothing at this path"))
}

func writeJSON(w http.ResponseWriter, v any) {
	body, err := marshal(v)
	if err != nil {
		panic(err) // our own types
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}
