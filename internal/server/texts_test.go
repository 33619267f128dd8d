package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/engine/scripted"
)

// The endpoints that run no engine: body in, body out.
func TestTextsComeAndGo(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	for _, c := range []struct{ path, body, want string }{
		{"/separate_reasoning", `{"text":"<think>a</think>b","reasoning_parser":"deepseek-r1"}`, `{"reasoning_text":"a","text":"b"}`},
		{"/separate_reasoning", `{"text":"a</think>b","reasoning_parser":"qwen3","in_reasoning":true}`, `{"reasoning_text":"a","text":"b"}`},
		{"/separate_reasoning", `{"text":"a</think>b","reasoning_parser":"deepseek_r1","in_reasoning":false}`, `{"reasoning_text":"","text":"a</think>b"}`},
		{"/separate_reasoning", `{"text":"<think>a</think>b"}`, `{"reasoning_text":"a","text":"b"}`},
		{"/separate_reasoning", `{"text":""}`, `{"reasoning_text":"","text":""}`},
		{"/parse_function_call", `{"text":"So.\n<tool_call>\n{\"name\": \"g\", \"arguments\": {\"a\": 1}}\n</tool_call>","tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}],"tool_call_parser":"hermes"}`, `{"normal_text":"So.\n","calls":[{"tool_index":1,"name":"g","parameters":"{\"a\": 1}"}]}`},
		{"/parse_function_call", `{"text":"[h(x='y')]","tools":[{"type":"function","function":{"name":"f"}}],"tool_call_parser":"pythonic"}`, `{"normal_text":"","calls":[{"tool_index":-1,"name":"h","parameters":"{\"x\": \"y\"}"}]}`},
		{"/parse_function_call", `{"text":"none","tools":[{"type":"function","function":{"name":"f"}}],"tool_call_parser":"qwen"}`, `{"normal_text":"none","calls":[]}`},
		{"/tokenize", `{"prompt":"<|im_end|>"}`, `{"count":1,"max_model_len":4096,"tokens":[1273],"token_strs":null}`},
		{"/v1/tokenize", `{"model":"tiny","prompt":["<|im_end|>",""],"return_token_strs":true}`, `{"count":[1,0],"max_model_len":4096,"tokens":[[1273],[]],"token_strs":[["<|im_end|>"],[]]}`},
		{"/tokenize", `{"prompt":""}`, `{"count":0,"max_model_len":4096,"tokens":[],"token_strs":null}`},
		{"/detokenize", `{"tokens":[1273]}`, `{"prompt":"<|im_end|>","text":""}`},
		{"/v1/detokenize", `{"tokens":[[1273],[]],"skip_special_tokens":false}`, `{"prompt":["<|im_end|>",""],"text":["<|im_end|>",""]}`},
		{"/detokenize", `{"tokens":[]}`, `{"prompt":"","text":""}`},
		{"/apply-template", `{"messages":[{"role":"user","content":"hi"}],"add_generation_prompt":false}`, `{"prompt":"<|im_start|>user\nhi<|im_end|>\n"}`},
	} {
		if r := f.do(t, http.MethodPost, c.path, c.body); r.status != http.StatusOK || r.body != c.want {
			t.Errorf("%s %s: %d\n got %s\nwant %s", c.path, c.body, r.status, r.body, c.want)
		}
	}
}

func TestTextsAreRefusedByName(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	long := strings.Repeat("so ", 1<<20)
	for _, c := range []struct{ path, body, param string }{
		{"/separate_reasoning", `{}`, "text"}, {"/separate_reasoning", `{"text":1}`, "text"}, {"/separate_reasoning", `{"text":"","reasoning_parser":"none such"}`, "reasoning_parser"},
		{"/separate_reasoning", `{"text":"","in_reasoning":"yes"}`, "in_reasoning"}, {"/separate_reasoning", `{"text":"","more":1}`, "more"}, {"/separate_reasoning", `{"text":"\ud800"}`, ""},
		{"/parse_function_call", `{"tools":[]}`, "text"}, {"/parse_function_call", `{"text":"a"}`, "tools"}, {"/parse_function_call", `{"text":"a","tools":7}`, "tools"}, {"/parse_function_call", `{"text":"a","tools":[{"type":"function","function":{"name":"f"}}],"tool_call_parser":"none such"}`, "tool_call_parser"},
		{"/parse_function_call", `{"text":"a","tools":[{"type":"function","function":{"name":"f"}}]}`, "tool_call_parser"}, {"/parse_function_call", `{"text":"a","more":1}`, "more"},
		{"/tokenize", `{}`, "prompt"}, {"/tokenize", `{"prompt":{}}`, "prompt"}, {"/tokenize", `{"prompt":[1]}`, "prompt[0]"}, {"/tokenize", `{"prompt":[["a"]]}`, "prompt[0]"},
		{"/tokenize", `{"prompt":"a","messages":[{"role":"user","content":"b"}]}`, "prompt"}, {"/tokenize", `{"messages":[{"role":"user","content":"b"}],"add_special_tokens":true}`, "add_special_tokens"},
		{"/tokenize", `{"prompt":"` + long + `"}`, "prompt"}, {"/tokenize", `{"prompt":"a","return_token_strs":1}`, "return_token_strs"}, {"/tokenize", `{"prompt":"a","model":"nobody"}`, "model"},
		{"/tokenize", `{"prompt":[` + strings.Repeat(`"",`, 5000) + `""]}`, "prompt"}, {"/tokenize", `{"prompt":"a","mm_processor_kwargs":{"fps":1}}`, "mm_processor_kwargs"},
		{"/detokenize", `{}`, "tokens"}, {"/detokenize", `{"tokens":"a"}`, "tokens"}, {"/detokenize", `{"tokens":[1,"a"]}`, "tokens"}, {"/detokenize", `{"tokens":[[1],2]}`, "tokens[1]"},
		{"/detokenize", `{"tokens":[99999]}`, "tokens"}, {"/detokenize", `{"tokens":[1e99]}`, "tokens"}, {"/detokenize", `{"tokens":[-1]}`, "tokens"}, {"/detokenize", `{"tokens":[1.5]}`, "tokens"},
		{"/apply-template", `{}`, "messages"}, {"/apply-template", `{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"xml"}}`, "response_format.type"},
	} {
		r := f.do(t, http.MethodPost, c.path, c.body)
		if e := envelope(t, r); r.status < 400 || r.status > 499 || e.Param == nil && c.param != "" || e.Param != nil && *e.Param != c.param {
			t.Errorf("%s %.80s: %d %.200s", c.path, c.body, r.status, r.body)
		}
	}
}

// Keys, media types, draining and hostile bodies are met as they are by chats.
func TestEveryNativeEndpointIsGuarded(t *testing.T) {
	paths := []string{"/generate", "/separate_reasoning", "/tokenize", "/v1/tokenize", "/detokenize", "/v1/detokenize", "/apply-template"}
	locked := begin(t, Config{APIKeys: []string{key}}, scripted.Config{})
	f := begin(t, Config{MaxBody: 1 << 20}, scripted.Config{})
	for _, path := range paths {
		if r := locked.do(t, http.MethodPost, path, "{}"); r.status != http.StatusUnauthorized {
			t.Errorf("%s without a key: %d", path, r.status)
		}
		if r := f.do(t, http.MethodPost, path, "{}", "Content-Type", "text/plain"); r.status != http.StatusUnsupportedMediaType {
			t.Errorf("%s as text: %d", path, r.status)
		}
		if r := f.do(t, http.MethodGet, path, ""); r.status != http.StatusMethodNotAllowed {
			t.Errorf("%s by GET: %d", path, r.status)
		}
		for name, body := range hostile() {
			if !strings.HasPrefix(body, `{"messages"`) {
				if r := f.do(t, http.MethodPost, path, body); r.status < 400 || r.status > 499 {
					t.Errorf("%s %s: %d %.100s", path, name, r.status, r.body)
				}
			}
		}
	}
	if !f.idle() {
		t.Error("something is left")
	}
	f.gate.drain()
	for _, path := range paths {
		if r := f.do(t, http.MethodPost, path, "{}"); r.status != http.StatusServiceUnavailable {
			t.Errorf("%s while draining: %d", path, r.status)
		}
	}
}
