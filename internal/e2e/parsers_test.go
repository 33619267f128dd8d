package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	openaigo "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/respjson"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/api/reasoning"
)

// parserCase is a golden of testdata/reasoning as a client asks for it.
type parserCase struct {
	Model   string         `json:"model"` // the parser's name
	Ask     string         `json:"ask"`   // the message by which the upstream knows the case
	Request map[string]any `json:"request"`
	Raw     string         `json:"raw"`
	Finish  string         `json:"finish"`
	Blocks  bool           `json:"blocks"` // a thought may come after content
	Calls   []parserCall   `json:"calls"`  // of formats that carry tool calls themselves
	Tokens  int            `json:"tokens"` // of the answer

	Reasoning string `json:"reasoning"`
	Content   string `json:"content"`
}

// parserCall is a call of a tool; its arguments are JSON.
type parserCall struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// parserCases are the goldens whose start a chat request can express: nothing
// is known of the prompt and of the vocabulary, as in front of another server.
// Of those that know the prompt there are the ones to which it makes no
// difference.
func parserCases(t *testing.T) []parserCase {
	t.Helper()
	files, err := filepath.Glob("../../testdata/reasoning/*/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no goldens", err)
	}
	var cases []parserCase
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Cases []struct {
				Name  string
				Start struct {
					Open, Effort string
					Switches     map[string]bool
					Tools        bool
					Tokens       []string
				}
				Raw, Reasoning, Content string
				Calls                   []parserCall
			}
		}
		if err := json.Unmarshal(data, &file); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		d, err := reasoning.Lookup(filepath.Base(filepath.Dir(path)))
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range file.Cases {
			unseen := reasoning.Start{Effort: g.Start.Effort, Switches: g.Start.Switches, HasTools: g.Start.Tools}
			thought, content := d.Split(unseen, g.Raw)
			known := g.Start.Open != "" || g.Start.Tokens != nil
			if known && (thought != g.Reasoning || content != g.Content) {
				continue
			}
			finish := "stop"
			if len(g.Calls) > 0 {
				finish = "tool_calls"
			}
			cases = append(cases, parserCase{
				Model: d.Name, Ask: fmt.Sprintf("%s, %s: %s", d.Name, filepath.Base(path), g.Name),
				Request: startOfRequest(g.Start.Effort, g.Start.Switches, g.Start.Tools),
				Raw:     g.Raw, Finish: finish, Blocks: d.Blocks || d.Tools, Tokens: utf8.RuneCountInString(g.Raw),
				Calls: g.Calls, Reasoning: g.Reasoning, Content: g.Content,
			})
		}
	}
	return cases
}

// startOfRequest says in a request what a golden knows at its start.
func startOfRequest(effort string, switches map[string]bool, tools bool) map[string]any {
	request, kwargs := map[string]any{}, map[string]any{}
	for name, on := range switches {
		kwargs[name] = on
	}
	switch {
	case effort == "":
	case slices.Contains(openai.Efforts, effort):
		request["reasoning_effort"] = effort
	default:
		kwargs["reasoning_effort"] = effort
	}
	if len(kwargs) > 0 {
		request["chat_template_kwargs"] = kwargs
	}
	if tools {
		request["tools"] = []any{map[string]any{"type": "function", "function": map[string]any{
			"name": "f", "parameters": map[string]any{"type": "object", "properties": map[string]any{}},
		}}}
	}
	return request
}

// truncated is the case as it is when max_tokens ends it in the middle of its
// only thought; ok is false where the thought does not lie in the text once and
// in one piece, before any content.
func (c parserCase) truncated() (cut parserCase, ok bool) {
	runes := []rune(c.Reasoning)
	before, after, found := strings.Cut(c.Raw, c.Reasoning)
	if !found || len(runes) < 2 || strings.Contains(after, c.Reasoning) {
		return c, false
	}
	d, err := reasoning.Lookup(c.Model)
	if _, content := d.Split(reasoning.Start{}, before); err != nil || content != d.Prefix {
		return c, false
	}
	cut = c
	cut.Reasoning, cut.Content, cut.Calls = string(runes[:len(runes)/2]), "", nil
	cut.Raw, cut.Finish = before+cut.Reasoning, "length"
	cut.Ask += ", truncated"
	cut.Tokens = utf8.RuneCountInString(cut.Raw)
	return cut, true
}

// startCases starts server and upstream for all cases, the truncated ones among
// them, and returns the cases and the server's address. What the upstream gets
// is checked too: the request's own switches, and that no parser is to run
// there.
func startCases(t *testing.T) ([]parserCase, string) {
	t.Helper()
	cases := parserCases(t)
	count, thoughts := map[string]int{}, map[string]int{}
	for _, c := range cases {
		count[c.Model]++
	}
	for _, c := range slices.Clone(cases) {
		if cut, ok := c.truncated(); ok {
			cases = append(cases, cut)
			thoughts[c.Model]++
		}
	}
	for _, name := range reasoning.Names() {
		// minimax-append-think leaves the thought in the content.
		if count[name] == 0 || thoughts[name] == 0 && name != "minimax-append-think" {
			t.Errorf("%s: %d cases can be asked for, %d be truncated", name, count[name], thoughts[name])
		}
	}
	answers, byAsk := map[string]scripted{}, map[string]parserCase{}
	for _, c := range cases {
		if _, twice := answers[c.Ask]; twice {
			t.Fatalf("%s: twice", c.Ask)
		}
		finish := c.Finish
		if len(c.Calls) > 0 {
			finish = "stop" // the upstream sees none
		}
		answers[c.Ask], byAsk[c.Ask] = scripted{c.Raw, finish}, c
	}
	t.Logf("%d parsers, %d cases, truncated ones included", len(count), len(cases))
	up := startUpstream(t, answers, func(ask string, body map[string]json.RawMessage) {
		if err := byAsk[ask].passedOn(body); err != nil {
			t.Errorf("%s: the upstream got %v", ask, err)
		}
	})
	return cases, startFront(t, up.URL)
}

// passedOn checks what of a request reached the upstream.
func (c parserCase) passedOn(body map[string]json.RawMessage) error {
	if string(body["separate_reasoning"]) != "false" || string(body["model"]) != fmt.Sprintf("%q", c.Model) {
		return fmt.Errorf("separate_reasoning %s, model %s", body["separate_reasoning"], body["model"])
	}
	if _, tools := c.Request["tools"]; tools != (body["tools"] != nil) {
		return fmt.Errorf("tools %s", body["tools"])
	}
	var kwargs map[string]any
	if raw := body["chat_template_kwargs"]; raw != nil {
		if err := json.Unmarshal(raw, &kwargs); err != nil {
			return err
		}
	}
	want, _ := c.Request["chat_template_kwargs"].(map[string]any)
	for name, value := range want {
		if kwargs[name] != value {
			return fmt.Errorf("chat_template_kwargs %v", kwargs)
		}
	}
	if effort, given := c.Request["reasoning_effort"]; given && kwargs["reasoning_effort"] != effort {
		return fmt.Errorf("chat_template_kwargs %v", kwargs)
	}
	return nil
}

// The goldens say what must come out, however the answer is asked for.
func TestOpenAIsClientGetsEveryParsersGoldens(t *testing.T) {
	cases, base := startCases(t)
	stdin, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", python(t, stdin, "parsers.py", base))
}

func TestOpenAIsGoClientGetsEveryParsersGoldens(t *testing.T) {
	cases, base := startCases(t)
	client := openaigo.NewClient(option.WithBaseURL(base), option.WithAPIKey("none"), option.WithMaxRetries(0))
	ways := map[string]func(context.Context, *openaigo.Client, parserCase) (texts, error){
		"whole": goWhole, "streamed": goStreamed,
	}
	var workers sync.WaitGroup
	work := make(chan parserCase)
	for range 8 {
		workers.Go(func() {
			for c := range work {
				want := texts{c.Reasoning, c.Content, c.Finish}
				for _, how := range slices.Sorted(maps.Keys(ways)) {
					got, err := ways[how](t.Context(), &client, c)
					if err != nil || got != want {
						t.Errorf("%s, %s: %v\n raw %q\n got %q\nwant %q", c.Ask, how, err, c.Raw, got, want)
					}
				}
			}
		})
	}
	for _, c := range cases {
		work <- c
	}
	close(work)
	workers.Wait()
}

// texts are what an answer consists of.
type texts struct{ reasoning, content, finish string }

func (c parserCase) params() (openaigo.ChatCompletionNewParams, []option.RequestOption) {
	var options []option.RequestOption
	for name, value := range c.Request {
		options = append(options, option.WithJSONSet(name, value))
	}
	return openaigo.ChatCompletionNewParams{
		Model: c.Model, Messages: []openaigo.ChatCompletionMessageParamUnion{openaigo.UserMessage(c.Ask)},
	}, options
}

func goWhole(ctx context.Context, client *openaigo.Client, c parserCase) (texts, error) {
	params, options := c.params()
	answer, err := client.Chat.Completions.New(ctx, params, options...)
	if err != nil {
		return texts{}, err
	}
	message := answer.Choices[0].Message
	thought, err := thoughtOf(message.JSON.ExtraFields)
	return texts{thought, message.Content, answer.Choices[0].FinishReason}, err
}

func goStreamed(ctx context.Context, client *openaigo.Client, c parserCase) (texts, error) {
	params, options := c.params()
	stream := client.Chat.Completions.NewStreaming(ctx, params, options...)
	defer stream.Close()
	var got texts
	for stream.Next() {
		for _, choice := range stream.Current().Choices {
			thought, err := thoughtOf(choice.Delta.JSON.ExtraFields)
			if err != nil {
				return got, err
			}
			if thought != "" && choice.Delta.Content != "" {
				return got, errors.New("reasoning and content in one delta")
			}
			got.reasoning += thought
			got.content += choice.Delta.Content
			got.finish += choice.FinishReason
		}
	}
	return got, stream.Err()
}

// thoughtOf is the reasoning of a message or delta, which has it under two
// names.
func thoughtOf(fields map[string]respjson.Field) (string, error) {
	var found [2]string
	for i, name := range []string{"reasoning_content", "reasoning"} {
		if field, given := fields[name]; given {
			if err := json.Unmarshal([]byte(field.Raw()), &found[i]); err != nil {
				return "", err
			}
		}
	}
	if found[0] != found[1] {
		return "", fmt.Errorf("two names, two texts: %q, %q", found[0], found[1])
	}
	return found[0], nil
}
