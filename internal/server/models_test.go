package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

func TestModelsAreFoundByTheirNames(t *testing.T) {
	engine := scripted.New(scripted.Config{Script: spell(raw, 9)})
	first, second := tinyModel(t, engine), tinyModel(t, engine)
	second.Name, second.Aliases = "Qwen/Qwen3-0.6B", nil
	for _, any := range []bool{false, true} {
		f := begin(t, Config{Models: models(first, second), AnyModelName: any}, scripted.Config{})
		for name, answers := range map[string]string{
			"": "tiny-reasoner", "default": "tiny-reasoner", "tiny": "tiny-reasoner", "tiny-reasoner": "tiny-reasoner", "Qwen/Qwen3-0.6B": "Qwen/Qwen3-0.6B",
			"gpt-5": "", "TINY": "", "tiny ": "", "../tiny": "",
		} {
			if answers == "" && any {
				answers = "tiny-reasoner"
			}
			r := f.chat(t, ask(fmt.Sprintf(`"model":%q`, name)))
			if answers != "" {
				if r.status != 200 || !strings.Contains(r.body, fmt.Sprintf(`"model":%q`, answers)) {
					t.Errorf("%q: %d %s", name, r.status, r.body)
				}
				continue
			}
			e := envelope(t, r)
			if r.status != 404 || *e.Code != "model_not_found" || *e.Param != "model" || !strings.Contains(e.Message, "tiny-reasoner, tiny, Qwen/Qwen3-0.6B, default") {
				t.Errorf("%q: %d %s", name, r.status, r.body)
			}
		}
	}
	f := begin(t, Config{Models: models(first, second)}, scripted.Config{})
	for path, status := range map[string]int{
		"tiny": 200, "default": 200, "Qwen/Qwen3-0.6B": 200, "Qwen%2FQwen3-0.6B": 200, "gpt-5": 404, "": 404, "tiny/": 404, "%2e%2e/tiny": 404,
	} {
		if r := f.do(t, "GET", "/v1/models/"+path, ""); r.status != status {
			t.Errorf("/v1/models/%s: %d %s", path, r.status, r.body)
		}
	}
	if err := engine.Close(); err != nil {
		t.Error(err)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	engine := scripted.New(scripted.Config{Script: spell(raw, 9)})
	defer engine.Close()
	m, other := tinyModel(t, engine), tinyModel(t, engine)
	for name, cfg := range map[string]Config{
		"two models of a name": {Models: models(m, other)}, "an empty key": {Models: models(m), APIKeys: []string{"a", ""}}, "a relative path": {Models: models(m), PublicPaths: []string{"metrics"}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Open() == nil || s.Open(m, other) == nil {
		t.Error("no model, or two of a name, were accepted")
	}
	if s.Open(m) != nil || s.Open(m) == nil {
		t.Error("models are given exactly once")
	}
}

func TestAServerThatLoadsIsAliveAndNotReady(t *testing.T) {
	s, err := New(Config{APIKeys: []string{"k"}})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, body string, key bool) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if key {
			r.Header.Set("Authorization", "Bearer k")
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w
	}
	const hello = `{"messages":[{"role":"user","content":"hi"}]}`
	check := func(status int) {
		t.Helper()
		for _, c := range []struct{ method, path, body string }{
			{"GET", "/readyz", ""}, {"GET", "/health", ""}, {"GET", "/v1/models", ""}, {"GET", "/v1/models/default", ""}, {"POST", "/v1/chat/completions", hello},
		} {
			w := ask(c.method, c.path, c.body, true)
			if w.Code != status || status == 503 && (w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"code":"loading"`)) {
				t.Errorf("%s: %d %v %s, want %d", c.path, w.Code, w.Header(), w.Body, status)
			}
		}
		for path, want := range map[string]int{"/healthz": 200, "/v1/models": 401, "/metrics": 401} {
			if w := ask("GET", path, "", false); w.Code != want {
				t.Errorf("%s without a key: %d, want %d", path, w.Code, want)
			}
		}
		if w := ask("GET", "/metrics", "", true); w.Code != 200 || strings.Contains(w.Body.String(), "reasond_kv_pages{") != (status == 200) {
			t.Errorf("/metrics: %d %s", w.Code, w.Body)
		}
	}
	check(503)
	for _, c := range []struct {
		doing       string
		done, total int64
		want        string
	}{
		{"", 0, 0, `"state":"loading","progress":0,"doing":"starting"}`},
		{"downloading a", 0, 0, `"state":"loading","progress":0,"doing":"downloading a"}`},
		{"loading", 1, 4, `"state":"loading","progress":0.25,"doing":"loading"}`},
		{"loading", 9, 4, `"state":"loading","progress":1,"doing":"loading"}`},
	} {
		if c.doing != "" {
			s.Loading(c.doing, c.done, c.total)
		}
		for _, path := range []string{"/readyz", "/health"} {
			if w := ask("GET", path, "", true); !strings.HasSuffix(w.Body.String(), c.want) {
				t.Errorf("%s: %s, want %s", path, w.Body, c.want)
			}
		}
	}
	engine := scripted.New(scripted.Config{Script: spell(raw, 9), End: llm.Finish{Reason: llm.FinishStop, StopID: 1273}})
	defer engine.Close()
	if err := s.Open(tinyModel(t, engine)); err != nil {
		t.Fatal(err)
	}
	check(200)
}

// While there is no model every route that needs one says so in the words of its
// dialect, whatever is asked.
func TestEveryRouteWaitsForTheModel(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	without := map[string]bool{"/version": true, "/metrics": true, "/openapi.json": true, "/openapi.yaml": true, "/api/version": true, "/": true}
	seen := 0
	err = chi.Walk(s.router(), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		r := httptest.NewRequest(method, strings.NewReplacer("{id}", "x", "*", "x").Replace(route), strings.NewReader("{"))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if without[route] {
			if w.Code != 200 {
				t.Errorf("%s %s: %d", method, route, w.Code)
			}
			return nil
		}
		seen++
		want := `"code":"loading"`
		switch {
		case strings.HasPrefix(route, "/v1/messages"):
			want = `{"type":"error","error":{"type":"`
		case strings.HasPrefix(route, "/api/"):
			want = `{"error":"the model is being loaded"}`
		}
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s %s: %d %v %s, want %s", method, route, w.Code, w.Header(), w.Body, want)
		}
		return nil
	})
	if err != nil || seen < 30 {
		t.Errorf("%d routes that need a model: %v", seen, err)
	}
}

func TestRoutesAnswer(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/healthz", 200, ""}, {"HEAD", "/healthz", 200, ""}, {"GET", "/readyz", 200, ""}, {"GET", "/health", 200, ""}, {"GET", "/version", 200, ""}, {"GET", "/metrics", 200, ""},
		{"GET", "/v1/models", 200, ""}, {"HEAD", "/v1/models", 200, ""}, {"GET", "/", 200, ""}, {"POST", "/", 405, "GET HEAD"}, {"GET", "/v1", 404, ""}, {"GET", "/v1/models/../models", 404, ""},
		{"GET", "/v1/chat/completions", 405, "POST"}, {"PUT", "/v1/chat/completions", 405, "POST"}, {"POST", "/v1/models", 405, "GET HEAD"}, {"DELETE", "/v1/models/tiny", 405, "GET HEAD"}, {"POST", "/healthz", 404, ""},
		{"POST", "/v1/chat/completions/", 404, ""}, {"GET", "/v1/completions", 405, "POST"},
	} {
		r := f.do(t, c.method, c.path, "")
		if r.status != c.status || strings.Join(r.header.Values("Allow"), " ") != c.allow {
			t.Errorf("%s %s: %d, Allow %q", c.method, c.path, r.status, r.header.Values("Allow"))
		}
		if r.status >= 400 {
			envelope(t, r)
		}
		if r.header.Get("X-Request-Id") == "" {
			t.Errorf("%s %s: no request id", c.method, c.path)
		}
	}
	if r := f.do(t, "GET", "/version", "", "X-Request-Id", "abc-1"); r.header.Get("X-Request-Id") != "abc-1" || r.body != `{"version":"test"}` {
		t.Errorf("%v %s", r.header, r.body)
	}
	if r := f.do(t, "GET", "/version", "", "X-Request-Id", "a b\"c"); !strings.HasPrefix(r.header.Get("X-Request-Id"), "req-") {
		t.Errorf("%v", r.header)
	}
	if r := f.chat(t, ask(`"request_id":"mine.1"`)); !strings.Contains(r.body, `"id":"chatcmpl-mine.1"`) {
		t.Errorf("%s", r.body)
	}
}

func TestMetricsCountWhatHappened(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	f.chat(t, ask(`"n":2`))
	f.chat(t, ask(`"stream":true`))
	f.chat(t, ask(`"n":0`))
	f.do(t, "GET", "/nowhere/"+strings.Repeat("x", 100), "")
	text := f.do(t, "GET", "/metrics", "").body
	for _, line := range []string{
		`reasond_http_requests_total{code="200",route="/v1/chat/completions"} 2`,
		`reasond_http_requests_total{code="400",route="/v1/chat/completions"} 1`,
		`reasond_http_requests_total{code="404",route="none"} 1`,
		`reasond_request_success_total{finished_reason="stop",model="tiny-reasoner"} 3`,
		`reasond_time_to_first_token_seconds_count{model="tiny-reasoner"} 2`,
		`reasond_e2e_request_latency_seconds_count{model="tiny-reasoner"} 2`,
		`reasond_request_prompt_tokens_sum{model="tiny-reasoner"} 24`,
		`reasond_num_requests_running{model="tiny-reasoner"} 0`,
		`reasond_num_requests_waiting{model="tiny-reasoner"} 0`,
		`reasond_prompt_tokens_total{model="tiny-reasoner"} 24`,
		`reasond_engine_stalled{model="tiny-reasoner"} 0`,
		`reasond_build_info{version="test"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			name := regexp.QuoteMeta(line[:strings.IndexAny(line, "{")])
			t.Errorf("no line %s, but\n%s", line, strings.Join(regexp.MustCompile("(?m)^"+name+".*$").FindAllString(text, -1), "\n"))
		}
	}
	if n := strings.Count(text, "\nreasond_http_requests_total{"); n > 6 {
		t.Errorf("clients make %d series", n)
	}
}
