package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Request is what became of one request. Times count from its own start.
type Request struct {
	Start time.Duration // since the first request of the run could start
	Total time.Duration // to the end of the answer
	First time.Duration // to the first token; 0: none came, or nothing was streamed
	// Answer is the time to the first token that is neither reasoning nor its marks;
	// 0: there was none.
	Answer time.Duration
	// At has the time of every delta that brought text, First included.
	At []time.Duration

	Prompt, Cached, Completion, Reasoning int // tokens, as usage has them; 0: it has none

	Kind string // of what went wrong; empty: nothing
	Err  string // what the server or the system said
}

// tokens are those of the answer: where the server counts none, its deltas.
func (r *Request) tokens() int {
	if r.Completion > 0 {
		return r.Completion
	}
	return len(r.At)
}

// gaps are the times between neighbouring deltas.
func (r *Request) gaps() []time.Duration {
	var list []time.Duration
	for i := 1; i < len(r.At); i++ {
		list = append(list, r.At[i]-r.At[i-1])
	}
	return list
}

// perToken is the mean time of a token after the first.
func (r *Request) perToken() time.Duration {
	if n := r.tokens(); len(r.At) > 1 && n > 1 {
		return (r.At[len(r.At)-1] - r.At[0]) / time.Duration(n-1)
	}
	return 0
}

// Kinds of what goes wrong; a status has its number behind "HTTP ".
const (
	kindConnect = "connection" // none came about, or it broke
	kindTimeout = "timeout"
	kindEvent   = "error event" // in the stream
	kindCut     = "cut"         // the stream ended before its end
	kindEmpty   = "no token"
	kindFormat  = "format" // what came is not what the dialect says
)

// failure is an error with its kind.
type failure struct{ kind, text string }

func (f *failure) Error() string { return f.text }

// body is a request's JSON. Its prompt has passed check.
func (c *Config) body(p Prompt, maxTokens int) []byte {
	fields := map[string]any{"model": c.Model, "max_tokens": maxTokens, "temperature": 0, "stream": c.Stream}
	switch {
	case c.Completions:
		fields["prompt"] = p.Text
	case p.Messages != nil:
		fields["messages"] = p.Messages
	default:
		fields["messages"] = []map[string]string{{"role": "user", "content": p.Text}}
	}
	if c.Stream {
		fields["stream_options"] = map[string]bool{"include_usage": true}
	}
	if c.IgnoreEOS {
		fields["ignore_eos"], fields["min_tokens"] = true, maxTokens
	}
	for name, value := range c.Extra {
		fields[name] = value
	}
	data, err := json.Marshal(fields)
	if err != nil {
		panic("load: a request's body: " + err.Error()) // texts, numbers and JSON that was parsed
	}
	return data
}

// ask makes one request; begin is when the run began.
func (c *Config) ask(ctx context.Context, endpoint string, begin time.Time, body []byte) Request {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	start := time.Now()
	r := Request{Start: start.Sub(begin)}
	err := c.exchange(ctx, endpoint, body, start, &r)
	r.Total = time.Since(start)
	if err == nil && r.tokens() == 0 {
		err = &failure{kindEmpty, "the answer has no token"}
	}
	if err != nil {
		r.Kind, r.Err = kindOf(err), err.Error()
	}
	return r
}

func kindOf(err error) string {
	var f *failure
	var network net.Error
	switch {
	case errors.As(err, &f):
		return f.kind
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return kindTimeout
	}
	return kindConnect
}

// errorBytes are read of an answer that is an error.
const errorBytes = 4 << 10

// send sends a request with the key; a body is JSON.
func (c *Config) send(ctx context.Context, method, endpoint string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, endpoint, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.Key)
	}
	return c.Client.Do(req)
}

func (c *Config) exchange(ctx context.Context, endpoint string, body []byte, start time.Time, r *Request) error {
	resp, err := c.send(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, errorBytes)) // what there is of it
		return &failure{fmt.Sprintf("HTTP %d", resp.StatusCode), messageOf(text)}
	}
	if c.Stream {
		return readStream(resp.Body, start, r)
	}
	return readWhole(resp.Body, r)
}

// messageOf is the text of an error's body in OpenAI's form, else the body.
func messageOf(body []byte) string {
	var e struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &e) == nil && e.Error.Message != "" {
		return e.Error.Message
	}
	return string(bytes.TrimSpace(body))
}
