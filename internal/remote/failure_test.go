package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reasond/reasond/internal/llm"
)

const secret = "sk-very-secret"

// refusals are error answers as the upstreams write them.
var refusals = []struct {
	name, source string
	status       int
	retryAfter   string
	body         string
	kind         llm.Kind
	param, code  string
	message      string // part of it
	wait         time.Duration
}{
	{"vLLM too long", "vllm-project/vllm#20409", 400, "", `{"error":{"message":"This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the messages, 10000 in the completion).","type":"BadRequestError","param":"input_tokens","code":400}}`, llm.TooLong, "input_tokens", "context_length_exceeded", "16384", 0},
	{"vLLM invalid", "vllm-project/vllm#4667", 400, "", `{"object":"error","message":"max_tokens must be at least 1, got -186.","type":"BadRequestError","param":null,"code":400}`, llm.Invalid, "", "", "at least 1", 0},
	{"vLLM no model", "vLLM serving_engine _check_model", 404, "", `{"error":{"message":"The model 'x' does not exist.","type":"NotFoundError","param":"model","code":404}}`, llm.NotFound, "", "model_not_found", "does not exist", 0},
	{"vLLM key", "vLLM AuthenticationMiddleware", 401, "", `{"error":"Unauthorized ` + secret + `"}`, llm.Internal, "", "", "", 0},
	{"SGLang too long", "QwenLM/Qwen3#1321", 400, "", `{"object":"error","message":"The input (61709 tokens) is longer than the model's context length (40960 tokens).","type":"BadRequestError","param":null,"code":400}`, llm.TooLong, "", "context_length_exceeded", "61709", 0},
	{"SGLang queue", "SGLang --max-queued-requests", 503, "7", `{"object":"error","message":"The request queue is full.","type":"SERVICE_UNAVAILABLE","code":503}`, llm.Overloaded, "", "", "overloaded", 7 * time.Second},
	{"FastAPI", "fastapi.tiangolo.com handling-errors", 422, "", `{"detail":[{"loc":["body","top_k"],"msg":"value is not a valid integer","type":"type_error.integer"}]}`, llm.Invalid, "", "", "top_k", 0},
	{"LightLLM", "LightLLM api_http create_error_response", 400, "", `{"error":{"message":"prompt token num + max_new_tokens > max_req_total_len","type":"BadRequestError","param":null,"code":400}}`, llm.TooLong, "", "context_length_exceeded", "", 0},
	{"LightLLM with 200", "LightLLM errors of older versions", 200, "", `{"message":"bad","code":400}`, llm.Invalid, "", "", "bad", 0},
	{"LMDeploy", "LMDeploy create_error_response", 400, "", `{"message":"The top_p must be in (0, 1].","type":"invalid_request_error","code":400,"param":null,"object":"error"}`, llm.Invalid, "", "", "top_p", 0},
	{"llama-server loads", "llama.cpp tools/server/README.md", 503, "", `{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`, llm.Overloaded, "", "", "overloaded", time.Second},
	{"llama-server too long", "ggml-org/llama.cpp#15780", 500, "", `{"error":{"code":500,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"exceed_context_size_error","n_prompt_tokens":1407,"n_ctx":256}}`, llm.TooLong, "", "context_length_exceeded", "context size", 0},
	{"llama-server key", "llama.cpp tools/server/README.md", 401, "", `{"error":{"code":401,"message":"Invalid API Key","type":"authentication_error"}}`, llm.Internal, "", "", "", 0},
	{"Ollama no model", "Ollama openai.NewError", 404, "", `{"error":{"message":"model \"x\" not found, try pulling it first","type":"not_found_error","param":null,"code":null}}`, llm.NotFound, "", "model_not_found", "try pulling", 0},
	{"OpenAI too long", "platform.openai.com/docs/guides/error-codes", 400, "", `{"error":{"message":"too many","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, llm.TooLong, "messages", "context_length_exceeded", "too many", 0},
	{"OpenAI rate", "platform.openai.com/docs/guides/rate-limits", 429, "20", `{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}`, llm.Overloaded, "", "", "overloaded", 20 * time.Second},
	{"absurd wait", "", 429, "999999999", `{}`, llm.Overloaded, "", "", "", time.Hour},
	{"negative wait", "", 429, "-5", `{}`, llm.Overloaded, "", "", "", time.Second},
	{"a date that was", "RFC 9110 10.2.3", 503, "Fri, 31 Dec 1999 23:59:59 GMT", ``, llm.Overloaded, "", "", "", time.Second},
	{"proxy page", "", 502, "", `<html>bad gateway</html>`, llm.Internal, "", "", "", 0},
	{"not a stream", "", 200, "", `{"choices":[]}`, llm.Internal, "", "", "", 0},
	{"redirect", "", 302, "", ``, llm.Internal, "", "", "", 0},
	{"key in a 400", "", 400, "", `{"error":{"message":"bad key ` + secret + `","param":"` + secret + `"}}`, llm.Invalid, "…", "", "bad key …", 0},
	{"long", "", 400, "", `{"error":{"message":"` + strings.Repeat("é", 4000) + `"}}`, llm.Invalid, "", "", "é…", 0},
}

func TestARefusalKeepsItsMeaning(t *testing.T) {
	leakCheck(t)
	for _, c := range refusals {
		tw := newTwin(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if c.retryAfter != "" {
				w.Header().Set("Retry-After", c.retryAfter)
			}
			if c.status == 302 {
				w.Header().Set("Location", "/elsewhere")
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		e := newEngine(t, Config{BaseURL: tw.URL, APIKey: secret})
		_, err := e.Submit(context.Background(), chatRequest(1))
		var got *llm.Error
		if !errors.As(err, &got) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got.Kind != c.kind || got.Param != c.param || got.Code != c.code || got.RetryAfter != c.wait || !strings.Contains(got.Message, c.message) {
			t.Errorf("%s (%s): %+v", c.name, c.source, got)
		}
		if strings.Contains(err.Error(), secret) || len(got.Message) > 2*maxMessage {
			t.Errorf("%s: the client would see %q", c.name, got.Message)
		}
		if tw.asked() != 1 {
			t.Errorf("%s: asked %d times", c.name, tw.asked())
		}
		if key := tw.heads[0].Get("Authorization"); key != "Bearer "+secret {
			t.Errorf("%s: Authorization is %q", c.name, key)
		}
		if stats := e.Stats(); stats.Running != 0 || stats.Waiting != 0 {
			t.Errorf("%s: %+v", c.name, stats)
		}
	}
}

func TestAnErrorInsideAStreamEndsWhatHasNotEnded(t *testing.T) {
	for name, frame := range map[string]string{
		"vLLM":         `data: {"error":{"message":"boom","type":"BadRequestError","param":null,"code":400}}`,
		"SGLang":       `data: {"object":"error","message":"boom","type":"BadRequestError","code":400}`,
		"llama-server": `error: {"code":400,"message":"boom","type":"invalid_request_error"}`,
		"event":        "event: error\ndata: {\"message\":\"boom\",\"code\":\"400\"}",
	} {
		text := "data: " + chunk(0, "a") + "\n\ndata: " + chunk(1, "b") + "\n\ndata: " + end(1, "stop") + "\n\n"
		e := newEngine(t, Config{BaseURL: "http://up", Transport: &pieces{[]string{text + frame + "\n\n"}, io.EOF}})
		both := ask(t, e, chatRequest(2))
		var got *llm.Error
		if fin := both[0].finish[0]; fin.Reason != llm.FinishError || !errors.As(fin.Err, &got) || got.Kind != llm.Invalid || got.Message != "boom" {
			t.Errorf("%s: %+v", name, fin)
		}
		if fin := both[1].finish[0]; fin.Reason != llm.FinishStop {
			t.Errorf("%s: the other choice ends with %+v", name, fin)
		}
	}
}

// flaky fails the first times, then answers.
type flaky struct {
	fails int32
	err   error
	tries atomic.Int32
	then  http.RoundTripper
}

func (f *flaky) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.ReadAll(r.Body); err != nil {
		return nil, err
	}
	if f.tries.Add(1) <= f.fails {
		return nil, f.err
	}
	return f.then.RoundTrip(r)
}

func TestARequestIsTriedAgainOnlyBeforeTheFirstByte(t *testing.T) {
	whole := sse(chunk(0, "a"), end(0, "stop"))
	for _, c := range []struct {
		fails, tries int32
		ok           bool
	}{{0, 1, true}, {1, 2, true}, {2, 3, true}, {3, 3, false}} {
		synctest.Test(t, func(t *testing.T) {
			f := &flaky{fails: c.fails, err: fmt.Errorf("dial: %w", syscall.ECONNREFUSED), then: &pieces{[]string{whole}, io.EOF}}
			e := newEngine(t, Config{BaseURL: "http://up", Transport: f})
			s, err := e.Submit(context.Background(), chatRequest(1))
			if (err == nil) != c.ok || f.tries.Load() != c.tries {
				t.Errorf("%d failures: %v after %d tries", c.fails, err, f.tries.Load())
			}
			if c.ok {
				collect(t, s, 1)
				return
			}
			var got *llm.Error
			if !errors.As(err, &got) || got.Kind != llm.Stopping || got.RetryAfter == 0 || strings.Contains(got.Message, "up") && strings.Contains(got.Message, "http") {
				t.Errorf("got %+v", err)
			}
		})
	}
	// A first byte was there: never again.
	f := &flaky{then: &pieces{[]string{"d"}, syscall.ECONNRESET}}
	e := newEngine(t, Config{BaseURL: "http://up", Transport: f})
	if fin := ask(t, e, chatRequest(1))[0].finish[0]; fin.Reason != llm.FinishError || f.tries.Load() != 1 {
		t.Errorf("%+v after %d tries", fin, f.tries.Load())
	}
}

// silent is an upstream that never answers; after head, if it is set, it sends
// what parts are given and then nothing.
type silent struct {
	head  bool
	parts string
}

func (u silent) RoundTrip(r *http.Request) (*http.Response, error) {
	if !u.head {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}},
		Body: &silentBody{r.Context(), strings.NewReader(u.parts)}}, nil
}

type silentBody struct {
	ctx  context.Context
	text *strings.Reader
}

func (b *silentBody) Read(p []byte) (int, error) {
	if n, err := b.text.Read(p); err == nil {
		return n, nil
	}
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func (b *silentBody) Close() error { return nil }

func TestTheTimeoutsOfASilentUpstream(t *testing.T) {
	for name, c := range map[string]struct {
		up     silent
		after  time.Duration // the stream has ended
		reason llm.FinishReason
	}{
		"never answers":           {silent{}, 10 * time.Minute, llm.FinishError},
		"only a head":             {silent{true, ""}, 2 * time.Minute, llm.FinishError},
		"falls silent":            {silent{true, "data: " + chunk(0, "a") + "\n\n"}, 2 * time.Minute, llm.FinishError},
		"half a frame":            {silent{true, "data: {\"choi"}, 2 * time.Minute, llm.FinishError},
		"ends without the end":    {silent{true, "data: " + end(0, "stop") + "\n\n"}, time.Second, llm.FinishStop},
		"usage without an end":    {silent{true, "data: " + end(0, "stop") + "\n\ndata: " + usage + "\n\n"}, 0, llm.FinishStop},
		"ends without closing up": {silent{true, sse(end(0, "length"))}, 0, llm.FinishLength},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := newEngine(t, Config{BaseURL: "http://up", Transport: c.up})
			began := time.Now()
			s, err := e.Submit(context.Background(), chatRequest(1))
			if err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(began); waited > 5*time.Second {
				t.Errorf("%s: Submit took %v", name, waited)
			}
			for {
				deltas, err := s.Recv(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				if fin := deltas[len(deltas)-1].Finish; fin != nil {
					if took := time.Since(began); took != c.after || fin.Reason != c.reason {
						t.Errorf("%s: %+v after %v", name, fin, took)
					}
					break
				}
			}
		})
	}
}

func TestSubmitCanBeCancelledWhileTheUpstreamThinks(t *testing.T) {
	for _, retries := range []int{-1, 2} {
		synctest.Test(t, func(t *testing.T) {
			e := newEngine(t, Config{BaseURL: "http://up", Transport: silent{}, Retries: retries})
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			began := time.Now()
			_, err := e.Submit(ctx, chatRequest(1))
			if llm.KindOf(err) != llm.Cancelled || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		})
	}
}

func TestTheSilenceOfAnUpstreamThatMustWaitDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := sse(chunk(0, strings.Repeat("x", 100)), chunk(0, "y"), end(0, "stop"))
		e := newEngine(t, Config{BaseURL: "http://up", Transport: &pieces{[]string{whole}, io.EOF}, MaxUnread: 50})
		s, err := e.Submit(context.Background(), chatRequest(1))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // nobody reads
		if fin := collect(t, s, 1)[0].finish[0]; fin.Reason != llm.FinishStop {
			t.Errorf("finish is %+v", fin)
		}
	})
}

func TestStopReplacesAFinishThatIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{BaseURL: "http://up", Transport: silent{true, "data: " + end(0, "length") + "\n\n"}})
		s, err := e.Submit(context.Background(), chatRequest(1))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the finish is held, the usage is missing
		s.Stop(0, "END")
		synctest.Wait() // the upstream request has ended
		if fin := collect(t, s, 1)[0].finish[0]; fin.Reason != llm.FinishStop || fin.StopText != "END" {
			t.Errorf("finish is %+v", fin)
		}
	})
}

func TestALateRefusalEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := roundTripper(func(*http.Request) (*http.Response, error) {
			time.Sleep(6 * time.Second)
			return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"3"}}, Body: http.NoBody}, nil
		})
		e := newEngine(t, Config{BaseURL: "http://up", Transport: late})
		s, err := e.Submit(context.Background(), chatRequest(2))
		if err != nil {
			t.Fatal(err)
		}
		for {
			deltas, err := s.Recv(context.Background())
			if errors.Is(err, io.EOF) {
				break
			}
			for _, d := range deltas {
				if d.Finish == nil || d.Finish.Reason != llm.FinishError || llm.KindOf(d.Finish.Err) != llm.Overloaded {
					t.Errorf("got %+v, %v", d, err)
				}
			}
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
