package e2e_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/testdata/bytemodel"
)

// caller is a format that calls are written in, and what its model looks like.
type caller struct {
	reasoning, tools string   // parsers
	control          []string // tokens
	generation       string   // what a prompt ends with
}

// callers are the formats that write calls in frames of their own, or in another
// way than JSON.
var callers = []caller{
	{reasoning: "gpt-oss", control: []string{"<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|constrain|>", "<|call|>", "<|return|>"}, generation: "<|start|>assistant"},
	{reasoning: "kimi-k3", control: []string{"<|open|>", "<|close|>", "<|sep|>", "<|end_of_msg|>"}, generation: "<|open|>think<|sep|>"},
	{reasoning: "cohere-command4", control: []string{"<|START_THINKING|>", "<|END_THINKING|>", "<|START_TEXT|>", "<|END_TEXT|>", "<|START_ACTION|>", "<|END_ACTION|>"},
		generation: "<|START_THINKING|>"},
	{reasoning: "inkling", control: []string{"<|message_model|>", "<|content_thinking|>", "<|content_text|>", "<|end_message|>", "<|content_invoke_tool_json|>"},
		generation: "<|message_model|>"},
	{reasoning: "muse", control: []string{"<|start|>", "<|message|>", "<|eom|>", "<|eot|>"}, generation: "<|start|>assistant"},
	{reasoning: "deepseek-r1", tools: "pythonic", control: []string{"<think>", "</think>"}, generation: "<think>"},
	{reasoning: "deepseek-r1", tools: "llama3-json", control: []string{"<think>", "</think>", "<|python_tag|>"}, generation: "<think>"},
	{reasoning: "gemma4", tools: "gemma", control: []string{"<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", `<|"|>`}, generation: "<|im_start|>model\n"},
	{reasoning: "none", tools: "functiongemma", control: []string{"<start_function_call>", "<end_function_call>", "<escape>"}, generation: "<|im_start|>model\n"},
	{reasoning: "deepseek-r1", tools: "kimi-k2", control: []string{"<think>", "</think>", "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|tool_call_begin|>",
		"<|tool_call_argument_begin|>", "<|tool_call_end|>"}, generation: "<think>"},
}

func (c caller) server(t *testing.T) *process {
	t.Helper()
	dir := t.TempDir()
	look := bytemodel.Look{Control: append([]string{"<|im_start|>", bytemodel.EOS}, c.control...), Generation: c.generation}
	bias := map[string]float64{`"`: 2.5, "}": 3, ")": 3, ",": 1.5, bytemodel.EOS: 4}
	for _, token := range c.control {
		bias[token] = 2.5
	}
	if err := look.Write(dir, 1, bias); err != nil {
		t.Fatal(err)
	}
	args := []string{dir, "--reasoning-parser", c.reasoning}
	if c.tools != "" {
		args = append(args, "--tool-call-parser", c.tools)
	}
	return start(t, args...)
}

// Tools, of which one is strict.
var levelTools = append(slices.Clone(weatherTools), map[string]any{"type": "function", "function": map[string]any{
	"name": "set_level", "strict": true, "parameters": map[string]any{"type": "object", "additionalProperties": false, "required": []string{"level", "on"},
		"properties": map[string]any{
			"level": map[string]any{"type": "integer", "minimum": 0, "maximum": 99}, "on": map[string]any{"type": "boolean"},
			"mode": map[string]any{"type": "string", "enum": []string{"slow", "fast"}},
		}}}})

func allowed(mode string, names ...string) map[string]any {
	var tools []any
	for _, name := range names {
		tools = append(tools, map[string]any{"type": "function", "function": map[string]any{"name": name}})
	}
	return map[string]any{"type": "allowed_tools", "allowed_tools": map[string]any{"mode": mode, "tools": tools}}
}

// choices of tools: what is asked for, whether a call must come, and which may.
var toolChoices = []struct {
	name   string
	choice any
	must   bool
	named  bool
	may    []string
}{
	{"auto", "auto", false, false, []string{"get_weather", "set_level"}},
	{"required", "required", true, false, []string{"get_weather", "set_level"}},
	{"named", map[string]any{"type": "function", "function": map[string]any{"name": "set_level"}}, true, true, []string{"set_level"}},
	{"allowed, required", allowed("required", "get_weather"), true, false, []string{"get_weather"}},
	{"allowed", allowed("auto", "set_level"), false, false, []string{"set_level"}},
}

// Law: a model that knows nothing calls where it must, in whatever format; what it
// calls are the functions that it may call, with arguments of their schemas, as
// many as it may. Streamed it is the same.
func TestWhoeverMustCallCallsInEveryFormat(t *testing.T) {
	for _, c := range callers {
		t.Run(strings.TrimPrefix(c.reasoning+" "+c.tools, "none "), func(t *testing.T) {
			t.Parallel()
			p := c.server(t)
			ended, thoughts := 0, 0
			for _, asked := range toolChoices {
				for seed := range 4 {
					parallel := seed%2 == 0
					body := map[string]any{
						"messages": []any{map[string]any{"role": "user", "content": "x"}}, "temperature": 1, "seed": seed, "max_tokens": 500, "n": 2,
						"thinking_token_budget": 30, "tools": levelTools, "tool_choice": asked.choice, "parallel_tool_calls": parallel,
					}
					if c.reasoning == "none" {
						delete(body, "thinking_token_budget")
					}
					whole := p.answer(t, body)
					body["stream"], body["stream_options"] = true, map[string]any{"include_usage": true}
					streamed := p.answer(t, body)
					if whole.status != 200 {
						t.Fatalf("%s: %.500s", asked.name, whole.body)
					}
					for _, choice := range whole.choices {
						thoughts += min(len(choice.reasoning), 1)
						if choice.finish == "length" {
							continue
						}
						ended++
						if err := legal(choice, asked.must, parallel && !asked.named, asked.may); err != nil {
							t.Errorf("%s, parallel %v, seed %d: %v: %+v", asked.name, parallel, seed, err, choice)
						}
					}
					if err := same(whole, streamed); err != nil {
						t.Errorf("%s, parallel %v, seed %d: streamed it is another: %v", asked.name, parallel, seed, err)
					}
				}
			}
			if ended < 20 || thoughts == 0 && c.reasoning != "none" {
				t.Errorf("of 40 answers %d ended, %d have thoughts", ended, thoughts)
			}
		})
	}
}

// legal says what is wrong with an answer that ended.
func legal(got chatChoice, must, several bool, may []string) error {
	switch {
	case must && (len(got.calls) == 0 || strings.TrimSpace(got.content) != ""):
		return fmt.Errorf("no call, or content")
	case len(got.calls) > 1 && !several:
		return fmt.Errorf("%d calls", len(got.calls))
	case (got.finish == "tool_calls") != (len(got.calls) > 0):
		return fmt.Errorf("%d calls, finish %q", len(got.calls), got.finish)
	}
	for _, c := range got.calls {
		if !slices.Contains(may, c.Function.Name) {
			return fmt.Errorf("a call of %q", c.Function.Name)
		}
		if err := levelCall(c); err != nil {
			return err
		}
	}
	return nil
}

func levelCall(c wireCall) error {
	if c.Function.Name != "set_level" {
		return weatherCall(c)
	}
	var v struct {
		Level *int
		On    *bool
		Mode  *string
	}
	d := json.NewDecoder(strings.NewReader(c.Function.Arguments))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil || v.Level == nil || v.On == nil || *v.Level < 0 || *v.Level > 99 || v.Mode != nil && *v.Mode != "slow" && *v.Mode != "fast" {
		return fmt.Errorf("arguments %s: %w", c.Function.Arguments, err)
	}
	return nil
}
