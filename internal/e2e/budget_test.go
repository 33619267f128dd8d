package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// questions are what the built-in model has learnt; sums have the longest thoughts.
var questions = []string{
	"What is 958 + 67?", "How many 'r's are in the word 'strawberry'?", "9.11 and 9.8, which is greater?",
	"Calculate 1200 - 345.", "Reverse the word 'planet'.", "What is the capital of France?", "Hello!",
}

func sampledChat(i int, more map[string]any) map[string]any {
	body := map[string]any{"messages": []any{map[string]any{"role": "user", "content": questions[i%len(questions)]}}, "temperature": 0.9, "seed": i, "max_tokens": 200}
	for k, v := range more {
		body[k] = v
	}
	return body
}

// Law, over 200 sampled requests: a thought has at most its budget's tokens; up
// to where it was closed the text is that of a run without a budget; with tokens
// reserved for it the answer is not empty.
func TestThoughtsKeepTheirBudgets(t *testing.T) {
	p := start(t)
	const requests = 200
	free, bound := make([]chatAnswer, requests), make([]chatAnswer, requests)
	budget := func(i int) int { return i * 7 % 60 }
	more := func(i int) map[string]any {
		m := map[string]any{"thinking_token_budget": budget(i)}
		if i%3 == 0 {
			m["thinking_budget_grace"] = 0
		}
		if i%2 == 0 {
			m["reserve_answer_tokens"], m["max_tokens"] = 1+i%8, 12+i*11%60
		}
		return m
	}
	each(requests, func(i int) {
		free[i] = p.answer(t, sampledChat(i, nil))
		bound[i] = p.answer(t, sampledChat(i, more(i)))
	})
	stops := map[string]int{}
	for i, a := range bound {
		if a.status != 200 || free[i].status != 200 {
			t.Fatalf("%d: %s %s", i, a.body, free[i].body)
		}
		c, want := a.choices[0], free[i].choices[0]
		stops[c.stop]++
		if n := a.usage.Details.Reasoning; n > budget(i) {
			t.Errorf("%d: %d tokens of thought, the budget is %d", i, n, budget(i))
		}
		if i%2 == 0 && strings.TrimSpace(c.content) == "" {
			t.Errorf("%d: no answer with %v: %s", i, more(i), a.body)
		}
		switch {
		case !strings.HasPrefix(want.reasoning, c.reasoning):
			t.Errorf("%d: the thought is %q, and %q without a budget", i, c.reasoning, want.reasoning)
		case c.stop == "natural" && (c.reasoning != want.reasoning || !strings.HasPrefix(want.content, c.content)):
			t.Errorf("%d: the budget was not reached, yet %+v is not %+v", i, c, want)
		case c.stop != "natural" && c.finish != "stop" && c.finish != "length":
			t.Errorf("%d: ends with %q", i, c.finish)
		}
	}
	if stops["budget"] < 60 || stops["natural"] < 20 || stops["length"] < 10 {
		t.Errorf("the thoughts stop for %v: not all kinds are there", stops)
	}
	t.Logf("the thoughts stop for %v", stops)
}

var weatherTools = []any{map[string]any{"type": "function", "function": map[string]any{
	"name": "get_weather", "parameters": map[string]any{
		"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string", "maxLength": 12}}, "required": []string{"city"}, "additionalProperties": false}}}}

// A call that is required comes, also where the model would rather answer.
func TestARequiredCallComesUnwanted(t *testing.T) {
	p := start(t)
	each(len(questions)*3, func(i int) {
		more := map[string]any{"tools": weatherTools, "tool_choice": "required"}
		switch i % 3 {
		case 1:
			more["tool_choice"] = map[string]any{"type": "function", "function": map[string]any{"name": "get_weather"}}
		case 2:
			more["chat_template_kwargs"] = map[string]any{"enable_thinking": false}
		}
		a := p.answer(t, sampledChat(i/3, more))
		if a.status != 200 || len(a.choices) != 1 {
			t.Errorf("%d: %s", i, a.body)
			return
		}
		c := a.choices[0]
		if c.finish != "tool_calls" || len(c.calls) == 0 {
			t.Errorf("%d: no call: %s", i, a.body)
			return
		}
		for _, call := range c.calls {
			if err := weatherCall(call); err != nil {
				t.Errorf("%d: %v: %s", i, err, a.body)
			}
		}
	})
}

// weatherCall checks a call of the one tool there is.
func weatherCall(c wireCall) error {
	var arguments map[string]string
	if err := json.Unmarshal([]byte(c.Function.Arguments), &arguments); err != nil || len(arguments) != 1 || c.Function.Name != "get_weather" || c.ID == "" || c.Type != "function" {
		return fmt.Errorf("a bad call %+v: %w", c, err)
	}
	if _, ok := arguments["city"]; !ok {
		return fmt.Errorf("a call without a city: %+v", c)
	}
	return nil
}

// A prompt that opens the thought closes it where there is no token for one.
func TestABudgetOfNothingClosesTheThoughtInThePrompt(t *testing.T) {
	p := byteServer(t)
	free := p.answer(t, noise(1, nil, 20))
	for _, more := range []map[string]any{{"thinking_token_budget": 0}, {"reserve_answer_tokens": 19}} {
		body := noise(1, nil, 20)
		for k, v := range more {
			body[k] = v
		}
		a := p.answer(t, body)
		if a.status != 200 || a.choices[0].reasoning != "" || a.choices[0].content == "" || a.choices[0].stop != "budget" || a.usage.Prompt != free.usage.Prompt+1 || a.usage.Details.Reasoning != 0 {
			t.Errorf("%v: %.600s", more, a.body)
		}
	}
}
