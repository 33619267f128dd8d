package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
)

// Every kind of error has its status and type, and inner causes stay inside.
func TestErrorsBecomeStatuses(t *testing.T) {
	secret := errors.New("secret path /srv/model")
	for _, c := range []struct {
		err    error
		status int
		kind   string
		code   string
		says   string
	}{
		{&llm.Error{Kind: llm.Invalid, Param: "p", Message: "says", Err: secret}, 400, "invalid_request_error", "invalid_value", "says"},
		{&llm.Error{Kind: llm.TooLong, Code: "context_length_exceeded", Message: "says", Err: secret}, 400, "invalid_request_error", "context_length_exceeded", "says"},
		{&llm.Error{Kind: llm.Unsupported, Message: "says", Err: secret}, 400, "invalid_request_error", "unsupported", "says"},
		{&llm.Error{Kind: llm.NotFound, Message: "says", Err: secret}, 404, "invalid_request_error", "", "says"},
		{&llm.Error{Kind: llm.Overloaded, Message: "says", RetryAfter: 1500 * time.Millisecond, Err: secret}, 429, "rate_limit_error", "", "says"},
		{&llm.Error{Kind: llm.Stopping, Message: "says", Err: secret}, 503, "server_error", "", "says"},
		{&llm.Error{Kind: llm.Internal, Code: "secret", Param: "secret", Message: "secret", Err: secret}, 500, "server_error", "", "internal server error"},
		{&openai.Error{Param: "n", Code: "invalid_value", Message: "says"}, 400, "invalid_request_error", "invalid_value", "says"},
		{failf(401, "invalid_api_key", "says"), 401, "authentication_error", "invalid_api_key", "says"},
		{failf(403, "host_not_allowed", "says"), 403, "permission_error", "host_not_allowed", "says"},
		{secret, 500, "server_error", "", "internal server error"},
		{context.DeadlineExceeded, 500, "server_error", "", "internal server error"},
	} {
		for _, err := range []error{c.err, fmt.Errorf("secret: %w", c.err)} {
			f := describe(err)
			var body openai.ErrorResponse
			if e := json.Unmarshal(f.body(), &body); e != nil {
				t.Fatal(e)
			}
			if f.status != c.status || f.kind != c.kind || f.code != c.code || body.Error.Message != c.says || strings.Contains(string(f.body()), "secret") {
				t.Errorf("%v: %d %s", err, f.status, f.body())
			}
			if (f.retryAfter > 0) != (c.status == 429 || c.status == 503) {
				t.Errorf("%v: retry after %v", err, f.retryAfter)
			}
		}
	}
	for _, err := range []error{context.Canceled, &llm.Error{Kind: llm.Cancelled}} {
		if f := describe(err); f.status != statusClientClosed {
			t.Errorf("%v: %d", err, f.status)
		}
	}
}
