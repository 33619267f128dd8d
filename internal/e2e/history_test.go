package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// keeps is a template that writes every turn's thought, under one of the names
// that templates read it by.
func keeps(t *testing.T, name string) string {
	t.Helper()
	template := `{%- for m in messages -%}
{{ '<|im_start|>' + m.role + '\n' }}
{%- if m.` + name + ` %}{{ '<think>\n' + m.` + name + ` + '\n</think>\n\n' }}{% endif -%}
{{ m.content + '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif -%}
`
	path := filepath.Join(t.TempDir(), name+".jinja")
	if err := os.WriteFile(path, []byte(template), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

type message = map[string]any

// ask posts a request and decodes its answer.
func (p *process) ask(path string, request, answer any) {
	p.t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := http.Post(p.base+path, "application/json", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %s: %s %s %v", path, body, res.Status, text, err)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		p.t.Fatalf("%s: %v", text, err)
	}
}

// prompt is the text of a chat's prompt.
func (p *process) prompt(messages []message) string {
	p.t.Helper()
	var answer struct{ Prompt string }
	p.ask("/apply-template", message{"messages": messages}, &answer)
	return answer.Prompt
}

// chat is the answer's message, and how many tokens the prompt had.
func (p *process) chat(messages []message) (reply message, prompt int) {
	p.t.Helper()
	var answer struct {
		Choices []struct{ Message message }
		Usage   struct {
			Prompt int `json:"prompt_tokens"`
		}
	}
	p.ask("/v1/chat/completions", message{"messages": messages, "temperature": 0}, &answer)
	return answer.Choices[0].Message, answer.Usage.Prompt
}

func turn(role, content string) message { return message{"role": role, "content": content} }

// Whichever name a client has for reasoning and whichever the template reads,
// the template alone decides what becomes of it.
func TestTheTemplateDecidesWhatBecomesOfReasoningInHistory(t *testing.T) {
	const (
		asked   = "9.11 and 9.8, which is greater?"
		begun   = "<|im_start|>user\n" + asked + "<|im_end|>\n<|im_start|>assistant\n"
		ended   = "Four.<|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n"
		thought = "Two and two.\n"
		shown   = "<think>\n" + thought + "\n</think>\n\n"
	)
	histories := map[string]message{
		"reasoning_content":                {"reasoning_content": thought},
		"reasoning":                        {"reasoning": thought},
		"both":                             {"reasoning_content": thought, "reasoning": thought},
		"none":                             {},
		"reasoning_content, other is null": {"reasoning_content": thought, "reasoning": nil},
	}
	programs := map[string]struct {
		args  []string
		keeps bool
	}{
		"drops":                   {nil, false},
		"keeps reasoning_content": {[]string{"--chat-template", keeps(t, "reasoning_content"), "--reasoning-parser", "qwen3"}, true},
		"keeps reasoning":         {[]string{"--chat-template", keeps(t, "reasoning"), "--reasoning-parser", "qwen3"}, true},
	}
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			p := start(t, program.args...)
			for fields, history := range histories {
				reply := turn("assistant", "Four.")
				maps.Copy(reply, history)
				want := begun + ended
				if program.keeps && len(history) > 0 {
					want = begun + shown + ended
				}
				if got := p.prompt([]message{turn("user", asked), reply, turn("user", "Sure?")}); got != want {
					t.Errorf("%s:\n got %q\nwant %q", fields, got, want)
				}
			}
			p.secondTurn(asked, program.keeps)
		})
	}
}

// secondTurn hands the model's own answer back as it came: the prompt has its
// thought where the template keeps it, and the chat's prompt is that prompt.
func (p *process) secondTurn(asked string, keeps bool) {
	p.t.Helper()
	first := []message{turn("user", asked)}
	reply, _ := p.chat(first)
	thought, _ := reply["reasoning_content"].(string)
	content, _ := reply["content"].(string)
	if thought == "" || content == "" {
		p.t.Fatalf("the first answer is %v", reply)
	}
	second := append(first, reply, turn("user", "Sure?"))
	bare := append(first, turn("assistant", content), turn("user", "Sure?"))
	prompt, without := p.prompt(second), p.prompt(bare)
	if has := prompt != without; has != keeps {
		p.t.Errorf("the thought %q in the second turn's prompt: %v, want %v\n%q", thought, has, keeps, prompt)
	}
	var tokens struct{ Count int }
	p.ask("/tokenize", message{"prompt": prompt}, &tokens)
	if _, n := p.chat(second); n != tokens.Count || n == 0 {
		p.t.Errorf("the second turn's prompt has %d tokens, its text %d", n, tokens.Count)
	}
}

// The built-in model's template drops thoughts of earlier questions, but keeps
// those that belong to the question under way: between a call and its result.
func TestAThoughtBeforeACallIsKeptUntilTheAnswer(t *testing.T) {
	p := start(t)
	call := message{
		"role": "assistant", "content": "", "reasoning": "I look.",
		"tool_calls": []message{{"id": "1", "type": "function", "function": message{"name": "f", "arguments": "{}"}}},
	}
	result := message{"role": "tool", "tool_call_id": "1", "content": "4"}
	under := []message{turn("user", "2+2?"), call, result}
	const shown = "<think>\nI look.\n</think>\n\n"
	if got := p.prompt(under); !bytes.Contains([]byte(got), []byte(shown)) {
		t.Errorf("under way: %q", got)
	}
	if got := p.prompt(append(under, turn("assistant", "4"), turn("user", "Sure?"))); bytes.Contains([]byte(got), []byte("I look.")) {
		t.Errorf("answered: %q", got)
	}
}

// Another server's template decides likewise: whichever name the client has,
// the thought reaches it under both.
func TestReasoningInHistoryReachesTheUpstream(t *testing.T) {
	const ask = "Sure?"
	seen := make(chan json.RawMessage, 1)
	up := startUpstream(t, map[string]scripted{ask: {"<think>a</think>b", "stop"}}, func(_ string, body map[string]json.RawMessage) {
		seen <- body["messages"]
	})
	p := &process{t: t, base: startFront(t, up.URL)}
	for _, name := range []string{"reasoning_content", "reasoning"} {
		reply := message{"role": "assistant", "content": "Four.", name: "Two.\n"}
		messages := []message{turn("user", "2+2?"), reply, turn("user", ask)}
		var answer struct{ Choices []struct{ Message message } }
		p.ask("/chat/completions", message{"model": "qwen3", "messages": messages}, &answer)
		if got := answer.Choices[0].Message; got["reasoning"] != "a" || got["content"] != "b" {
			t.Errorf("%s: the answer is %v", name, got)
		}
		var got []message
		if raw := <-seen; json.Unmarshal(raw, &got) != nil || len(got) != len(messages) {
			t.Fatalf("%s: the upstream got %s", name, raw)
		}
		reply["reasoning_content"], reply["reasoning"] = "Two.\n", "Two.\n"
		for i, want := range messages {
			if !maps.Equal(got[i], want) {
				t.Errorf("%s: the upstream got %v, want %v", name, got[i], want)
			}
		}
	}
}
