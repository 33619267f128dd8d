package toolcall

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The tools of testdata/calls.json's cases.
const testTools = `[
	{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {
		"location": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}, "days": {"type": ["integer", "null"]},
		"nested": {"type": "object"}, "flag": {"type": "boolean"}}}}},
	{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {
		"a": {"type": "number"}, "b": {"anyOf": [{"type": "number"}, {"type": "null"}]}}}}},
	{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}]`

// goldenCase is what a format's own chat template or documentation shows, and
// what it means.
type goldenCase struct {
	Parser, Name, Text string
	Content            string
	Calls              []Call
}

func goldenCases(t testing.TB) []goldenCase {
	t.Helper()
	data, err := os.ReadFile("testdata/calls.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// sameJSON compares arguments as JSON, and as text where they are none.
func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	return reflect.DeepEqual(x, y)
}

func TestGoldenCalls(t *testing.T) {
	seen := map[string]int{}
	for _, c := range goldenCases(t) {
		seen[c.Parser]++
		t.Run(c.Parser+"/"+c.Name, func(t *testing.T) {
			d, err := Lookup(c.Parser)
			if err != nil {
				t.Fatal(err)
			}
			content, calls := Parse(d, ReadTools(json.RawMessage(testTools)), c.Text)
			if content != c.Content {
				t.Errorf("content %q, must be %q", content, c.Content)
			}
			if len(calls) != len(c.Calls) {
				t.Fatalf("calls %q, must be %q", calls, c.Calls)
			}
			for i, call := range calls {
				if call.Name != c.Calls[i].Name || !sameJSON(call.Arguments, c.Calls[i].Arguments) {
					t.Errorf("call %d is %q, must be %q", i, call, c.Calls[i])
				}
			}
		})
	}
	for _, name := range Names() {
		if seen[name] < 4 {
			t.Errorf("%s has %d golden cases, must have 4", name, seen[name])
		}
	}
}

// What models' own templates write for past calls must be read back as those
// calls.
func TestCallsThatTemplatesWriteAreReadBack(t *testing.T) {
	folder := "../../../shared/chat-templates"
	data, err := os.ReadFile(filepath.Join(folder, "rendered.json"))
	if err != nil {
		t.Skip("the templates of published models are not part of the project: ../shared/chat-templates is absent")
	}
	var rendered map[string]map[string]struct{ OK string }
	if err := json.Unmarshal(data, &rendered); err != nil {
		t.Fatal(err)
	}
	data, err = os.ReadFile(filepath.Join(folder, "conversations.json"))
	if err != nil {
		t.Fatal(err)
	}
	var conversations map[string]struct {
		Tools    json.RawMessage
		Messages []struct {
			ToolCalls []struct {
				Function struct {
					Name      string
					Arguments json.RawMessage
				}
			} `json:"tool_calls"`
		}
	}
	if err := json.Unmarshal(data, &conversations); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for model, parser := range map[string]string{
		"Qwen3-Coder": "qwen3-coder", "StepFun3.5-Flash": "step3p5", "Qwen-Qwen3-0.6B": "hermes", "Qwen-QwQ-32B": "hermes",
		"Qwen-Qwen2.5-7B-Instruct": "hermes", "ibm-granite-granite-4.0": "granite4", "deepseek-ai-DeepSeek-V3.2": "deepseek_v32",
		"deepseek-ai-DeepSeek-V3.1": "deepseek_v31", "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": "deepseek_v3",
		"deepseek-ai-DeepSeek-R1-Distill-Llama-8B": "deepseek_v3", "ByteDance-Seed-OSS": "seed_oss", "GLM-4.6": "glm45",
		"MiniMax-M2": "minimax_m2", "moonshotai-Kimi-K2": "kimi_k2", "Kimi-K2-Thinking": "kimi_k2",
		"mistralai-Mistral-Nemo-Instruct-2407": "mistral", "Mistral-Small-3.2-24B-Instruct-2506": "mistral",
		"NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use": "hermes",
	} {
		d, err := Lookup(parser)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"tool_result", "tool_result_null_content", "parallel_tools"} {
			text := rendered[model][name].OK
			var want []Call
			for _, m := range conversations[name].Messages {
				for _, c := range m.ToolCalls {
					want = append(want, Call{c.Function.Name, string(c.Function.Arguments)})
				}
			}
			if text == "" || !strings.Contains(text, want[0].Name) {
				continue
			}
			// The tools' description may show the format too: the turn's calls are the last ones.
			_, calls := Parse(d, ReadTools(conversations[name].Tools), text[afterTools(text):])
			if len(calls) < len(want) {
				t.Errorf("%s, %s: %d calls of %d: %q", model, name, len(calls), len(want), calls)
				continue
			}
			checked++
			for i, call := range calls[len(calls)-len(want):] {
				if call.Name != want[i].Name || !sameJSON(call.Arguments, want[i].Arguments) {
					t.Errorf("%s, %s: call %d is %q, must be %q", model, name, i, call, want[i])
				}
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d renderings were checked", checked)
	}
}

// afterTools is where the first user's turn begins: what the tools' description
// shows of the format lies before it.
func afterTools(text string) int {
	for _, s := range []string{"Weather in", "Weather?"} {
		if i := strings.LastIndex(text, s); i >= 0 {
			return i
		}
	}
	return 0
}

func TestNames(t *testing.T) {
	// vLLM's and SGLang's names, in their spellings.
	for _, name := range strings.Fields(`hermes qwen qwen25 qwen3_coder qwen3_xml llama3_json llama3 llama4_json llama4_pythonic pythonic mistral
		deepseek_v3 deepseekv3 deepseek_v31 deepseekv31 deepseek_v32 deepseekv32 kimi_k2 glm glm45 glm47 minimax_m2 minimax-m2 minimax_m3 granite
		granite4 phi4_mini_json seed_oss gemma4 functiongemma step3p5 Hermes`) {
		if _, err := Lookup(name); err != nil {
			t.Error(err)
		}
	}
	if _, err := Lookup("nothing"); err == nil || !strings.Contains(err.Error(), "hermes") {
		t.Errorf("an unknown name: %v", err)
	}
}
