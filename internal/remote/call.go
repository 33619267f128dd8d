package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/reasond/reasond/internal/llm"
)

// maxBody bounds an answer that is not a stream: errors, models, health.
const maxBody = 8 << 20

// follow runs one request from connection to the last Finish. accepted is told
// once whether the upstream took it.
// caller is the context under ctx: that it ends is an abort, not a fault.
func (e *Engine) follow(caller, ctx context.Context, s *stream, req *llm.Request, body []byte, accepted chan<- error) {
	watch := newWatchdog(e.cfg.FirstByteTimeout, s.cancel)
	defer watch.timer.Stop()
	resp, err := e.post(ctx, req.ID, body)
	e.stats.accepted(err == nil)
	defer e.stats.ended(err == nil)
	if err == nil {
		defer resp.Body.Close()
	}
	accepted <- err
	if err == nil {
		r := &reader{engine: e, ctx: ctx, s: s, watch: watch, top: req.Sampling.TopLogprobs}
		r.alive()
		err = r.read(resp.Body)
		e.stats.usage(r.usage)
		s.settle(r.usage)
		if err == nil {
			drain(resp.Body, watch)
		}
	}
	reason := llm.FinishError
	if caller.Err() != nil || errors.Is(err, errClosed) || errors.Is(err, errStopping) {
		reason = llm.FinishAbort
	}
	s.fail(reason, err)
}

// drain reads what follows the last event, so that the connection can be used
// again; the watchdog bounds it.
func drain(body io.Reader, watch *watchdog) {
	watch.timer.Reset(100 * time.Millisecond)
	_, _ = io.CopyN(io.Discard, body, 4<<10)
}

// post sends the request and returns an answer that is a stream. A connection
// that fails before the answer's first byte is tried again; an answer never is.
func (e *Engine) post(ctx context.Context, id string, body []byte) (*http.Response, error) {
	for attempt := 0; ; attempt++ {
		resp, err := e.send(ctx, http.MethodPost, e.path, id, body)
		if err == nil {
			return e.check(resp)
		}
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		if attempt == e.cfg.Retries {
			return nil, unreachable(err)
		}
		select {
		case <-time.After(e.cfg.RetryWait << attempt):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// check takes an answer's head: a stream, or an error that it closes.
func (e *Engine) check(resp *http.Response) (*http.Response, error) {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode == http.StatusOK && kind == "text/event-stream" {
		return resp, nil
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxMessage<<4)) // what could be read of it
	if resp.StatusCode >= 400 {
		return nil, e.refusal(resp.StatusCode, resp.Header, raw)
	}
	u := parseError(raw) // LightLLM and others send errors with status 200
	if u.Message != "" {
		return nil, e.refusal(u.status(), resp.Header, raw)
	}
	return nil, llm.Errorf(llm.Internal, "", "the upstream answers with status %d and %q instead of a stream", resp.StatusCode, kind)
}

func (e *Engine) send(ctx context.Context, method, path, id string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, e.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "text/event-stream")
	}
	if id != "" && e.kind.traced {
		req.Header.Set("X-Request-Id", id)
	}
	if e.cfg.APIKey != "" {
		req.Header.Set("Authorization", "Bearer "+e.cfg.APIKey)
	}
	return e.client.Do(req)
}
