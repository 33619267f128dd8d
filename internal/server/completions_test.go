package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

// complete is a completion's body with more members.
func complete(more ...string) string {
	return `{"prompt":"It is"` + strings.Join(append([]string{""}, more...), ",") + `}`
}

func (f *fixture) completion(t *testing.T, body string) response {
	t.Helper()
	return f.do(t, http.MethodPost, "/v1/completions", body)
}

// foldTexts puts a stream of n choices together in the form of a whole answer,
// and checks its grammar on the way.
func foldTexts(t *testing.T, body string, n int) string {
	t.Helper()
	whole := openai.Completion{Choices: make([]openai.TextChoice, n)}
	rest, done := strings.CutSuffix(body, "data: [DONE]\n\n")
	if !done {
		t.Fatalf("no [DONE]: %s", body)
	}
	for _, event := range strings.Split(strings.TrimSuffix(rest, "\n\n"), "\n\n") {
		var c openai.Completion
		if err := json.Unmarshal([]byte(strings.TrimPrefix(event, "data: ")), &c); err != nil {
			t.Fatalf("%q: %v", event, err)
		}
		if len(c.Choices) > 1 || (len(c.Choices) == 0) != (c.Usage != nil) || whole.Usage != nil || whole.ID != "" && whole.ID != c.ID {
			t.Errorf("out of order: %s", event)
		}
		whole.ID, whole.Object, whole.Created, whole.Model, whole.Usage = c.ID, c.Object, c.Created, c.Model, c.Usage
		for _, choice := range c.Choices {
			into := &whole.Choices[choice.Index]
			if into.FinishReason != nil || (choice.Text == "") != (choice.FinishReason != nil) {
				t.Errorf("an empty event, or one after the end: %s", event)
			}
			choice.Text = into.Text + choice.Text
			*into = choice
		}
	}
	text, err := marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// masked is an answer without what changes from run to run.
func masked(body string) string {
	return anyCreated.ReplaceAllString(anyTextID.ReplaceAllString(body, `"id":"cmpl-*"`), `"created":0`)
}

func TestCompletionsHaveTheirShape(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{
		Script: func(*llm.Request, int) []scripted.Step { return tokens(t, "<think>é</think>42 <b>") },
		End:    llm.Finish{Reason: llm.FinishStop, StopID: 1273, Cached: 1},
	})
	golden(t, "completion.json", f.completion(t, complete(`"n":2`)).body+"\n")
	golden(t, "completion-stop.json", f.completion(t, complete(`"stop":"2 <"`)).body+"\n")
	golden(t, "completion-stream.txt", f.completion(t, complete(`"stream":true`, `"stream_options":{"include_usage":true}`)).body)
}

func tokenIDs(t *testing.T, text string) (ids []int32) {
	t.Helper()
	for _, step := range tokens(t, text) {
		ids = append(ids, step.IDs...)
	}
	return ids
}

// The engine answers with the prompt that it was given and the choice's number.
func echoes(t *testing.T) scripted.Config {
	return scripted.Config{
		Script: func(r *llm.Request, choice int) []scripted.Step {
			steps := scripted.IDs(r.Prompt.IDs)(r, choice)
			return append(steps, tokens(t, fmt.Sprint(" ", choice))...)
		},
		End: llm.Finish{Reason: llm.FinishStop, StopID: 1273, Cached: 1},
	}
}

// Prompts of every form come back in order, each with its choices, and the two
// forms of an answer say the same.
func TestChoicesStandPromptByPrompt(t *testing.T) {
	f := begin(t, Config{}, echoes(t))
	ids := func(text string) string {
		list, err := json.Marshal(tokenIDs(t, text))
		if err != nil {
			t.Fatal(err)
		}
		return string(list)
	}
	for _, c := range []struct {
		prompt string
		n      int
		want   []string
	}{
		{`"one"`, 1, []string{"one 0"}},
		{ids("one"), 2, []string{"one 0", "one 1"}},
		{`["one","two two"]`, 1, []string{"one 0", "two two 0"}},
		{`["one","two two"]`, 3, []string{"one 0", "one 1", "one 2", "two two 0", "two two 1", "two two 2"}},
		{`[` + ids("two") + `,` + ids("one <think>") + `]`, 2, []string{"two 0", "two 1", "one <think> 0", "one <think> 1"}},
		{`["` + strings.Repeat(`x","`, 63) + `y"]`, 1, append(strings.Split(strings.Repeat("x 0,", 63), ",")[:63], "y 0")},
	} {
		body := fmt.Sprintf(`{"prompt":%s,"n":%d`, c.prompt, c.n)
		whole := f.completion(t, body+"}").body
		var got openai.Completion
		if err := json.Unmarshal([]byte(whole), &got); err != nil || len(got.Choices) != len(c.want) {
			t.Errorf("%s: %v %.300s", body, err, whole)
			continue
		}
		prompt, output := 0, 0
		for i, want := range c.want {
			if g := got.Choices[i]; g.Index != i || g.Text != want || *g.FinishReason != "stop" {
				t.Errorf("%s: choice %d is %+v, want %q", body, i, g, want)
			}
			output += len(tokenIDs(t, want)) + 1
			if i%c.n == 0 {
				prompt += len(tokenIDs(t, strings.TrimSuffix(want, " 0")))
			}
		}
		if u := got.Usage; u.PromptTokens != prompt || u.PromptTokensDetails.CachedTokens != len(c.want)/c.n || u.TotalTokens != prompt+u.CompletionTokens {
			t.Errorf("%s: usage %+v, want %d of the prompts", body, u, prompt)
		}
		stream := f.completion(t, body+`,"stream":true,"stream_options":{"include_usage":true}}`).body
		if folded := foldTexts(t, stream, len(c.want)); masked(folded) != masked(whole) {
			t.Errorf("%s\nstream %s\nwhole  %s", body, folded, whole)
		}
	}
	if !f.idle() {
		t.Error("something is left")
	}
}

// There is no thought in a completion that would make a stop string inert.
func TestStopStringsOfACompletionMatchAnywhere(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	for stop, want := range map[string]string{"me see": "<think>\nLet ", "</think>": "<think>\n" + thought, "<think>": "", "no more.": raw[:len(raw)-len("no more.")]} {
		for _, stream := range []bool{false, true} {
			r := f.completion(t, complete(fmt.Sprintf(`"max_tokens":200,"stop":[%q,"absent"],"stream":%v`, stop, stream)))
			body := r.body
			if stream {
				body = foldTexts(t, body, 1)
			}
			var got openai.Completion
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			if c := got.Choices[0]; c.Text != want || *c.FinishReason != "stop" || c.MatchedStop == nil || c.MatchedStop.Text != stop {
				t.Errorf("%q, streamed %v: %s", stop, stream, body)
			}
		}
	}
}

func TestACompletionHasControlTokensOnlyIfAsked(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{Script: func(*llm.Request, int) []scripted.Step { return tokens(t, "a<|im_start|>b") }})
	for more, want := range map[string]string{`"skip_special_tokens":true`: `"text":"ab"`, `"skip_special_tokens":false`: `"text":"a<|im_start|>b"`} {
		if r := f.completion(t, complete(more)); !strings.Contains(r.body, want) {
			t.Errorf("%s: %s", more, r.body)
		}
	}
}

func TestACompletionHasSixteenTokensUnlessItSaysMore(t *testing.T) {
	var asked []int
	f := begin(t, Config{}, scripted.Config{Script: func(r *llm.Request, _ int) []scripted.Step {
		asked = append(asked, r.Sampling.MaxTokens)
		return nil
	}})
	f.completion(t, complete())
	f.completion(t, complete(`"max_tokens":40`))
	if fmt.Sprint(asked) != "[16 40]" {
		t.Errorf("asked for %v", asked)
	}
}

// What cannot be served is refused by name before anything runs, in either form.
func TestCompletionsRefuseByName(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	long := strings.Repeat("so ", 1<<20)
	for _, c := range []struct{ body, param, code string }{
		{`{}`, "prompt", "missing_required_parameter"}, {`{"prompt":null}`, "prompt", "missing_required_parameter"},
		{`{"prompt":""}`, "prompt", "invalid_value"}, {`{"prompt":[]}`, "prompt", "invalid_value"}, {`{"prompt":7}`, "prompt", "invalid_value"}, {`{"prompt":{"a":1}}`, "prompt", "invalid_value"},
		{`{"prompt":[true]}`, "prompt", "invalid_value"}, {`{"prompt":[null]}`, "prompt", "invalid_value"}, {`{"prompt":[1,"a"]}`, "prompt", "invalid_value"}, {`{"prompt":["a",1]}`, "prompt[1]", "invalid_value"},
		{`{"prompt":["a",[1]]}`, "prompt[1]", "invalid_value"}, {`{"prompt":[[1],[[1]]]}`, "prompt[1]", "invalid_value"}, {`{"prompt":[[1],[]]}`, "prompt[1]", "invalid_value"}, {`{"prompt":["a",""]}`, "prompt[1]", "invalid_value"},
		{`{"prompt":[99999]}`, "prompt", "invalid_value"}, {`{"prompt":[[5],[99999]]}`, "prompt[1]", "invalid_value"}, {`{"prompt":[-1]}`, "prompt", "invalid_value"}, {`{"prompt":[1.5]}`, "prompt", "invalid_value"}, {`{"prompt":[4294967297]}`, "prompt", "invalid_value"},
		{`{"prompt":["` + strings.Repeat(`a","`, 64) + `a"]}`, "prompt", "invalid_value"}, {`{"prompt":["` + strings.Repeat(`a","`, 63) + `a"],"n":5}`, "n", "invalid_value"},
		{`{"prompt":"` + long + `"}`, "prompt", "context_length_exceeded"}, {`{"prompt":["a","` + long + `"]}`, "prompt[1]", "context_length_exceeded"}, {`{"prompt":[` + strings.Repeat("5,", 5000) + `5]}`, "prompt", "context_length_exceeded"},
		{complete(`"max_tokens":100000`), "max_tokens", "context_length_exceeded"}, {complete(`"max_tokens":0`), "max_tokens", "invalid_value"}, {complete(`"min_tokens":17`), "min_tokens", "invalid_value"},
		{complete(`"n":17`), "n", "invalid_value"}, {complete(`"best_of":2`), "best_of", "unsupported"}, {complete(`"best_of":2`, `"n":3`), "best_of", "invalid_value"}, {complete(`"best_of":100000`), "best_of", "invalid_value"},
		{complete(`"echo":1`), "echo", "invalid_value"}, {complete(`"logprobs":21`), "logprobs", "invalid_value"}, {complete(`"logprobs":0`), "logprobs", "unsupported"}, {complete(`"logprobs":5`), "logprobs", "unsupported"}, {complete(`"suffix":"x"`), "suffix", "unsupported"},
		{complete(`"return_token_ids":true`), "return_token_ids", "unsupported"}, {complete(`"prompt_logprobs":1`), "prompt_logprobs", "unsupported"}, {complete(`"prompt_embeds":"gASV"`), "prompt_embeds", "unsupported"},
		{complete(`"messages":[]`), "messages", "unsupported"}, {complete(`"tools":[]`), "tools", "unsupported"}, {complete(`"reasoning_effort":"low"`), "reasoning_effort", "unsupported"}, {complete(`"max_completion_tokens":3`), "max_completion_tokens", "unsupported"},
		{complete(`"stream_options":{}`), "stream_options", "invalid_value"}, {complete(`"add_special_tokens":1`), "add_special_tokens", "invalid_value"}, {complete(`"stop":[1]`), "stop", "invalid_value"}, {complete(`"nonsense":1`), "nonsense", "unknown_parameter"}, {complete(`"nonsense":null`), "nonsense", "unknown_parameter"},
		{complete(`"model":"nobody"`), "model", "model_not_found"}, {`[]`, "", "invalid_json"}, {`{"prompt":"a","prompt":"b"}`, "", "invalid_json"}, {``, "", "invalid_json"}, {`{"prompt":"\ud800"}`, "", "invalid_json"}, {strings.Repeat("[", 1<<20), "", "invalid_json"},
	} {
		for _, body := range []string{c.body, strings.Replace(c.body, `{"p`, `{"stream":true,"p`, 1)} {
			if c.param == "stream_options" && body != c.body {
				continue
			}
			r := f.completion(t, body)
			e := envelope(t, r)
			if r.status < 400 || r.status > 499 || e.Param == nil && c.param != "" || e.Param != nil && *e.Param != c.param || e.Code == nil && c.code != "" || e.Code != nil && *e.Code != c.code {
				t.Errorf("%.80s: %d %.200s, want %s %s", body, r.status, r.body, c.param, c.code)
			}
		}
	}
	if r := f.completion(t, complete(`"echo":false,"suffix":null,"logprobs":null,"best_of":1,"user":"u","messages":null`)); r.status != http.StatusOK {
		t.Errorf("what asks for nothing: %s", r.body)
	}
	if !f.idle() {
		t.Error("something is left")
	}
}

// If one prompt of several fails so does the answer, and nothing goes on.
func TestAFaultAtOnePromptEndsTheCompletion(t *testing.T) {
	hold := make(chan struct{})
	f := begin(t, Config{}, scripted.Config{Script: func(r *llm.Request, _ int) []scripted.Step {
		if len(r.Prompt.IDs) > 1 {
			return []scripted.Step{{Text: "half"}, {Err: fmt.Errorf("device lost")}}
		}
		return []scripted.Step{{Wait: hold}}
	}})
	defer close(hold)
	const body = `{"prompt":[[5],[5,5]]`
	r := f.completion(t, body+`,"stream":true}`)
	if r.status != http.StatusOK || strings.Contains(r.body, "[DONE]") || strings.Contains(r.body, "device") || strings.Count(r.body, `data: {"error"`) != 1 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := f.completion(t, body+"}"); r.status != http.StatusInternalServerError {
		t.Errorf("whole: %d %s", r.status, r.body)
	}
	eventually(t, "nothing runs", f.idle)
}

// A queue that takes only some of the prompts takes none.
func TestACompletionRunsWhollyOrNotAtAll(t *testing.T) {
	hold := make(chan struct{})
	f := begin(t, Config{}, scripted.Config{Slots: 1, Queue: 1, Script: func(*llm.Request, int) []scripted.Step { return []scripted.Step{{Wait: hold}} }})
	defer close(hold)
	if r := f.completion(t, `{"prompt":["a","b","c","d"],"stream":true}`); r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", r.status, r.body)
	}
	eventually(t, "nothing runs", f.idle)
}

func TestAClientThatLeavesEndsEveryPrompt(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{Script: func(*llm.Request, int) []scripted.Step {
		return []scripted.Step{{Text: "a"}, {Wait: make(chan struct{})}}
	}})
	req, err := http.NewRequest(http.MethodPost, f.url("/v1/completions"), strings.NewReader(`{"prompt":["a","b","c"],"n":2,"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resp.Body.Read(make([]byte, 1)); err != nil || f.idle() {
		t.Fatalf("nothing runs: %v", err)
	}
	resp.Body.Close()
	eventually(t, "nothing runs", f.idle)
}
