package e2e_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// combined is a case of the product of everything.
type combined struct {
	reasoning, stream bool
	tools, grammar    string
	n                 int
	logprobs          bool
}

func (c combined) String() string {
	return fmt.Sprintf("reasoning=%v stream=%v tools=%s grammar=%s n=%d logprobs=%v", c.reasoning, c.stream, c.tools, c.grammar, c.n, c.logprobs)
}

func combinations() (all []combined) {
	for _, reasoning := range []bool{true, false} {
		for _, tools := range []string{"none", "auto", "required"} {
			for _, grammar := range []string{"", "json_schema", "regex"} {
				for _, n := range []int{1, 3} {
					for _, logprobs := range []bool{false, true} {
						for _, stream := range []bool{false, true} { // neighbours must agree
							all = append(all, combined{reasoning, stream, tools, grammar, n, logprobs})
						}
					}
				}
			}
		}
	}
	return all
}

const (
	countSchema = `{"type":"object","properties":{"letter":{"enum":["r","s"]},"count":{"type":"integer","minimum":0,"maximum":99}},"required":["letter","count"],"additionalProperties":false}`
	countRegex  = `It is [0-9]{1,2}(\.[0-9])?[.!]`
)

func (c combined) body(seed int) map[string]any {
	question := "How many 'r's are in the word 'strawberry'?"
	if c.tools != "none" {
		question = "What is the weather in Paris?"
	}
	body := map[string]any{
		"messages": []any{map[string]any{"role": "user", "content": question}}, "temperature": 0.7, "seed": seed, "max_tokens": 300, "n": c.n,
		"chat_template_kwargs": map[string]any{"enable_thinking": c.reasoning}, "tools": weatherTools, "tool_choice": c.tools,
	}
	switch c.grammar {
	case "json_schema":
		body["response_format"] = map[string]any{"type": "json_schema", "json_schema": map[string]any{"name": "count", "strict": true, "schema": json.RawMessage(countSchema)}}
	case "regex":
		body["structured_outputs"] = map[string]any{"regex": countRegex}
	}
	if c.logprobs {
		body["logprobs"], body["top_logprobs"], body["reasoning_logprobs"] = true, 2, true
	}
	if c.stream {
		body["stream"], body["stream_options"] = true, map[string]any{"include_usage": true}
	}
	return body
}

// Law: whatever is asked for together comes together, and streamed it is the same.
func TestEverythingWorksTogether(t *testing.T) {
	p := start(t, "--dtype", "float32")
	all := combinations()
	if len(all) != 144 {
		t.Fatalf("%d cases", len(all))
	}
	answers := make([]chatAnswer, len(all))
	each(len(all), func(i int) { answers[i] = p.answer(t, all[i].body(i/2)) })
	for i, c := range all {
		a := answers[i]
		if c.tools == "required" && c.grammar != "" {
			field := map[string]string{"json_schema": "response_format.json_schema.schema", "regex": "structured_outputs.regex"}[c.grammar]
			if a.status != 400 || a.err.Param != field {
				t.Errorf("%v: they exclude each other, status %d: %.300s", c, a.status, a.body)
			}
			continue
		}
		if err := c.check(a); err != nil {
			t.Errorf("%v: %v: %.900s", c, err, a.body)
		}
		if c.stream {
			whole := answers[i-1]
			if err := same(whole, a); err != nil {
				t.Errorf("%v: streamed it is another: %v", c, err)
			}
		}
	}
}

// check holds an answer to the laws.
func (c combined) check(a chatAnswer) error {
	if a.status != 200 || len(a.choices) != c.n {
		return fmt.Errorf("status %d, %d choices", a.status, len(a.choices))
	}
	u := a.usage
	if u.Prompt == 0 || u.Completion == 0 || u.Total != u.Prompt+u.Completion || (u.Details.Reasoning > 0) != c.reasoning || u.Details.Reasoning >= u.Completion {
		return fmt.Errorf("usage %+v", u)
	}
	for i, choice := range a.choices {
		if err := c.choice(choice); err != nil {
			return fmt.Errorf("choice %d: %w", i, err)
		}
	}
	return nil
}

var wholeRegex = regexp.MustCompile("^(?:" + countRegex + ")$")

func (c combined) choice(got chatChoice) error {
	text := got.reasoning + got.content
	switch {
	case (got.reasoning != "") != c.reasoning:
		return fmt.Errorf("reasoning %q", got.reasoning)
	case strings.Contains(text, "think>") || strings.Contains(text, "<|") || len(got.calls) > 0 && strings.Contains(text, "tool_call>"):
		return fmt.Errorf("markers in %q", text)
	case c.reasoning && got.stop != "natural":
		return fmt.Errorf("the thought stops for %q", got.stop)
	}
	if len(got.calls) > 0 {
		if got.finish != "tool_calls" || c.tools == "none" || c.grammar != "" {
			return fmt.Errorf("%d calls, finish %q", len(got.calls), got.finish)
		}
		for _, call := range got.calls {
			if err := weatherCall(call); err != nil {
				return err
			}
		}
	} else if got.finish != "stop" || c.tools == "required" || got.content == "" {
		return fmt.Errorf("no call, finish %q, content %q", got.finish, got.content)
	}
	switch c.grammar {
	case "json_schema":
		var v struct {
			Letter *string
			Count  *int
		}
		d := json.NewDecoder(strings.NewReader(got.content))
		d.DisallowUnknownFields()
		if err := d.Decode(&v); err != nil || v.Letter == nil || v.Count == nil || d.More() || got.content[0] != '{' {
			return fmt.Errorf("content %q is not of the schema: %w", got.content, err)
		}
	case "regex":
		if !wholeRegex.MatchString(got.content) {
			return fmt.Errorf("content %q is not of the regular expression", got.content)
		}
	}
	return c.probabilities(got)
}

// probabilities: the tokens' texts are the content and the thought, byte for byte.
func (c combined) probabilities(got chatChoice) error {
	if !c.logprobs {
		if got.logprobs != nil || got.thoughtLogprobs != nil {
			return fmt.Errorf("log-probabilities that nobody asked for")
		}
		return nil
	}
	if got.content != "" && got.logprobs == nil || c.reasoning && got.thoughtLogprobs == nil {
		return fmt.Errorf("no log-probabilities")
	}
	for what, one := range map[string]struct {
		probs *wireLogprobs
		text  string
	}{"content": {got.logprobs, got.content}, "thought": {got.thoughtLogprobs, got.reasoning}} {
		if text, err := one.probs.text(); err != nil || text != one.text {
			return fmt.Errorf("the %s's tokens are %q, its text %q: %w", what, text, one.text, err)
		}
	}
	return nil
}

// text is what the tokens spell.
func (l *wireLogprobs) text() (string, error) {
	if l == nil {
		return "", nil
	}
	var text []byte
	for _, p := range l.Content {
		if p.Logprob > 0 {
			return "", fmt.Errorf("log-probability %g of %q", p.Logprob, p.Token)
		}
		for _, b := range p.Bytes {
			text = append(text, byte(b))
		}
	}
	return string(text), nil
}

// same says how a streamed answer differs from the whole one.
func same(whole, streamed chatAnswer) error {
	if whole.usage != streamed.usage {
		return fmt.Errorf("usage %+v and %+v", whole.usage, streamed.usage)
	}
	for i := range whole.choices {
		a, b := whole.choices[i], streamed.choices[i]
		for _, c := range []*chatChoice{&a, &b} {
			for j := range c.calls {
				c.calls[j].ID, c.calls[j].Index = "", nil
			}
		}
		if len(a.calls) == 0 && len(b.calls) == 0 {
			a.calls, b.calls = nil, nil
		}
		if a.logprobs != nil && len(a.logprobs.Content) == 0 { // nothing to stream
			a.logprobs = nil
		}
		if !reflect.DeepEqual(a, b) {
			return fmt.Errorf("choice %d: %+v and %+v", i, a, b)
		}
	}
	return nil
}
