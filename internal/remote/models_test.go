package remote

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// pages answers GET requests by path, anything else with 404.
func pages(paths map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, ok := paths[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, text)
	}
}

func TestProbeLearnsNameAndContext(t *testing.T) {
	for name, c := range map[string]struct {
		kind, model string
		pages       map[string]string
		want        string
		context     int
		fails       string
	}{
		"vLLM":  {"vllm", "", map[string]string{"/v1/models": `{"object":"list","data":[{"id":"Qwen/Qwen3-8B","object":"model","owned_by":"vllm","max_model_len":40960},{"id":"lora"}]}`}, "Qwen/Qwen3-8B", 40960, ""},
		"named": {"vllm", "lora", map[string]string{"/v1/models": `{"data":[{"id":"a","max_model_len":5},{"id":"lora","max_model_len":7}]}`}, "lora", 7, ""},
		"llama-server": {"llama-server", "", map[string]string{
			"/v1/models": `{"object":"list","data":[{"id":"m.gguf","object":"model","owned_by":"llamacpp","meta":{"n_ctx_train":131072}}]}`,
			"/props":     `{"default_generation_settings":{"id":0,"n_ctx":8192},"total_slots":1}`}, "m.gguf", 8192, ""},
		"Ollama":    {"ollama", "", map[string]string{"/v1/models": `{"object":"list","data":[{"id":"qwen3:8b","object":"model"}]}`}, "qwen3:8b", 0, ""},
		"no model":  {"vllm", "x", map[string]string{"/v1/models": `{"data":[{"id":"a"},{"id":"b"}]}`}, "", 0, `no model "x"; it has a, b`},
		"none":      {"vllm", "", map[string]string{"/v1/models": `{"data":[]}`}, "", 0, "serves no model"},
		"not JSON":  {"vllm", "", map[string]string{"/v1/models": `<html>`}, "", 0, "not the JSON expected"},
		"no models": {"vllm", "", nil, "", 0, "refused"},
	} {
		e, err := New(Config{BaseURL: newTwin(t, pages(c.pages)).URL, Kind: c.kind, Model: c.model})
		if err != nil {
			t.Fatal(err)
		}
		err = e.Probe(context.Background())
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || e.Model() != c.want || e.Caps().MaxContext != c.context {
			t.Errorf("%s: %q, %d, %v", name, e.Model(), e.Caps().MaxContext, err)
		}
	}
}

func TestHealthAsksEachKindsOwnEndpoint(t *testing.T) {
	for kind, path := range map[string]string{
		"vllm": "/health", "sglang": "/health", "lightllm": "/health", "lmdeploy": "/health", "llama-server": "/health",
		"ollama": "/api/version", "openai": "/v1/models", "reasond": "/readyz",
	} {
		tw := newTwin(t, pages(map[string]string{path: ""}))
		e := newEngine(t, Config{BaseURL: tw.URL, Kind: kind})
		if err := e.Health(context.Background()); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		tw.Config.Handler = pages(nil)
		if err := e.Health(context.Background()); err == nil {
			t.Errorf("%s: a sick upstream is healthy", kind)
		}
		tw.Close()
		if err := e.Health(context.Background()); err == nil || strings.Contains(err.Error(), tw.URL) {
			t.Errorf("%s: a dead upstream: %v", kind, err)
		}
	}
}

func TestProbeParsingFindsAnUpstreamThatSplits(t *testing.T) {
	split := sse(`{"choices":[{"index":0,"delta":{"reasoning":"2 and"},"finish_reason":"length"}]}`)
	for name, c := range map[string]struct {
		kind, answer string
		parsing      Parsing
		want, asked  bool
		fails        bool
	}{
		"splits":        {"vllm", split, ParsingAuto, true, true, false},
		"raw":           {"vllm", sse(chunk(0, "<think>2"), end(0, "length")), ParsingAuto, false, true, false},
		"dies":          {"vllm", "data: ", ParsingAuto, false, true, true},
		"refuses":       {"vllm", "", ParsingAuto, false, true, true},
		"switched off":  {"sglang", split, ParsingAuto, false, false, false},
		"always splits": {"ollama", split, ParsingAuto, true, false, false},
		"configured":    {"vllm", split, ParsingRaw, false, false, false},
	} {
		tw := newTwin(t, says(c.answer))
		if c.answer == "" {
			tw.Config.Handler = pages(nil)
		}
		e := newEngine(t, Config{BaseURL: tw.URL, Kind: c.kind, Parsing: c.parsing})
		got, err := e.ProbeParsing(context.Background())
		if got != c.want || (err != nil) != c.fails || c.answer != "" && (tw.asked() > 0) != c.asked {
			t.Errorf("%s: %v, %v, asked %d times", name, got, err, tw.asked())
		}
	}
}
