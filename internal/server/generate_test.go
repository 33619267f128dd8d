package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/reasond/reasond/api/native"
	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

// goOn is a /generate body with more members.
func goOn(more ...string) string {
	return `{"text":"What is it?"` + strings.Join(append([]string{""}, more...), ",") + `}`
}

func (f *fixture) generate(t *testing.T, body string) response {
	t.Helper()
	return f.do(t, http.MethodPost, "/generate", body)
}

// lastEvents checks a /generate stream and returns each choice's last event.
func lastEvents(t *testing.T, body string, n int) []string {
	t.Helper()
	last := make([]string, n)
	texts := make([]string, n)
	lines, done := bufio.NewScanner(strings.NewReader(body)), false
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if done {
			t.Errorf("after the end: %q", data)
		}
		if done = data == "[DONE]"; done {
			continue
		}
		var e native.GenerateResponse
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		i := 0
		if e.Index != nil {
			i = *e.Index
		}
		if (e.Index != nil) != (n > 1) || strings.Contains(last[i], `"finish_reason":{`) || !strings.HasPrefix(e.Text, texts[i]) {
			t.Errorf("choice %d: %q after %q", i, data, last[i])
		}
		texts[i], last[i] = e.Text, strings.Replace(data, fmt.Sprintf(`"index":%d,`, i), "", 1)
	}
	if !done {
		t.Errorf("no [DONE] in %q", body)
	}
	return last
}

var anyMetaID = regexp.MustCompile(`"id":"[A-Z2-7]{26}"`)

// The stream's last event is the whole answer.
func TestGenerateSaysTheSameStreamedOrNot(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{Script: func(_ *llm.Request, choice int) []scripted.Step {
		return tokens(t, []string{raw, "no thought", "<think>never ends"}[choice])
	}})
	for _, more := range []string{`"sampling_params":{}`, `"sampling_params":{"n":3}`, `"sampling_params":{"stop":["42"]}`,
		`"sampling_params":{"stop":"<b>","no_stop_trim":true}`, `"sampling_params":{"max_new_tokens":5}`, `"sampling_params":{"skip_special_tokens":false}`} {
		n := 1
		if strings.Contains(more, `"n":3`) {
			n = 3
		}
		whole := anyMetaID.ReplaceAllString(f.generate(t, goOn(more)).body, `"id":"*"`)
		last := lastEvents(t, anyMetaID.ReplaceAllString(f.generate(t, goOn(more, `"stream":true`)).body, `"id":"*"`), n)
		got := last[0]
		if n > 1 {
			got = "[" + strings.Join(last, ",") + "]"
		}
		if got != whole {
			t.Errorf("%s\nstream %s\nwhole  %s", more, got, whole)
		}
	}
}

// Several prompts are answered as each alone would be, in their order.
func TestGenerateTakesSeveralPrompts(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{Script: func(r *llm.Request, choice int) []scripted.Step {
		return tokens(t, strings.Repeat("no ", len(r.Prompt.IDs))+[]string{"one", "two"}[choice])
	}})
	mask := func(s string) string { return anyMetaID.ReplaceAllString(s, `"id":"*"`) }
	var alone []string
	for _, text := range []string{`"a"`, `"a b c"`} {
		body := mask(f.generate(t, `{"text":`+text+`,"sampling_params":{"n":2}}`).body)
		alone = append(alone, strings.Trim(body, "[]"))
	}
	want := "[" + strings.Join(alone, ",") + "]"
	const many = `{"text":["a","a b c"],"sampling_params":{"n":2}}`
	if got := mask(f.generate(t, many).body); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	last := lastEvents(t, mask(f.generate(t, strings.Replace(many, "{", `{"stream":true,`, 1)).body), 4)
	if got := "[" + strings.Join(last, ",") + "]"; got != want {
		t.Errorf("streamed\n got %s\nwant %s", got, want)
	}
	if got := f.generate(t, `{"text":["a"]}`).body; !strings.HasPrefix(got, `[{"text":`) {
		t.Errorf("an array of one: %s", got)
	}
}

// The answer key by key, with what the text is of.
func TestGenerateHasItsShape(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{
		Script: func(*llm.Request, int) []scripted.Step { return tokens(t, "<think>é</think>42") },
		End:    llm.Finish{Reason: llm.FinishStop, StopID: 1273, Cached: 2},
	})
	const want = `{"text":"<think>é</think>42","meta_info":{"id":"mine","finish_reason":{"type":"stop","matched":1273},"prompt_tokens":4,"completion_tokens":%d,"cached_tokens":2,"reasoning_tokens":%d}}`
	n, thought := len(tokens(t, "<think>é</think>42"))+1, len(tokens(t, "é"))
	if got := f.generate(t, goOn(`"rid":"mine"`)).body; got != fmt.Sprintf(want, n, thought) {
		t.Errorf("\n got %s\nwant %s", got, fmt.Sprintf(want, n, thought))
	}
}

func TestGenerateSaysWhatEndedIt(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{
		Script: func(*llm.Request, int) []scripted.Step { return tokens(t, raw) },
		End:    llm.Finish{Reason: llm.FinishLength, StopID: -1},
	})
	n := len(tokens(t, raw))
	if got := f.generate(t, goOn()).body; !strings.Contains(got, fmt.Sprintf(`"finish_reason":{"type":"length","length":%d}`, n)) {
		t.Errorf("cut: %s", got)
	}
	got := f.generate(t, goOn(`"sampling_params":{"stop":["42","Let"]}`)).body
	if !strings.Contains(got, `"finish_reason":{"type":"stop","matched":"42"}`) || !strings.Contains(got, "Let me see") {
		t.Errorf("a stop string in the thought is inert: %s", got)
	}
}

// A text, its ids and the chat that it is of are one prompt.
func TestGenerateTakesTextIDsOrMessages(t *testing.T) {
	var asked []string
	f := begin(t, Config{}, scripted.Config{Script: func(r *llm.Request, _ int) []scripted.Step {
		asked = append(asked, fmt.Sprint(r.Prompt.IDs, r.Sampling.MaxTokens))
		return nil
	}})
	const chat = `"messages":[{"role":"user","content":"hi <|im_end|>"}],"enable_thinking":false`
	template := f.do(t, http.MethodPost, "/apply-template", "{"+chat+"}")
	var applied native.ApplyTemplateResponse
	if err := json.Unmarshal([]byte(template.body), &applied); err != nil || !strings.Contains(applied.Prompt, "<|im_start|>user\nhi") {
		t.Fatalf("%s", template.body)
	}
	var ids native.TokenizeResponse
	if err := json.Unmarshal([]byte(f.do(t, http.MethodPost, "/tokenize", "{"+chat+"}").body), &ids); err != nil {
		t.Fatal(err)
	}
	list, _ := json.Marshal(ids.Tokens)
	for _, body := range []string{"{" + chat + "}", `{"input_ids":` + string(list) + `}`} {
		if r := f.generate(t, body); r.status != http.StatusOK {
			t.Errorf("%s: %s", body, r.body)
		}
	}
	if len(asked) != 2 || asked[0] != asked[1] || !strings.HasSuffix(asked[0], " 128") {
		t.Errorf("asked %v", asked)
	}
}

// What SGLang knows and we do not have is a 400 that names it by its path.
func TestGenerateRefusesByName(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	for _, c := range []struct{ body, param, code string }{
		{goOn(`"sampling_params":{"regex":7}`), "sampling_params.regex", "invalid_value"},
		{goOn(`"sampling_params":{"json_schema":"{"}`), "sampling_params.json_schema", "invalid_value"},
		{goOn(`"sampling_params":{"ebnf":"x","regex":"y"}`), "sampling_params.regex", "invalid_value"},
		{goOn(`"sampling_params":{"max_tokens":1}`), "sampling_params.max_tokens", "unknown_parameter"},
		{goOn(`"sampling_params":{"top_p":0}`), "sampling_params.top_p", "invalid_value"},
		{goOn(`"sampling_params":{"max_new_tokens":-1}`), "sampling_params.max_new_tokens", "invalid_value"},
		{goOn(`"sampling_params":{"max_new_tokens":4096}`), "sampling_params.max_new_tokens", "context_length_exceeded"},
		{goOn(`"sampling_params":{"min_new_tokens":5,"max_new_tokens":4}`), "sampling_params.min_new_tokens", "invalid_value"},
		{goOn(`"sampling_params":{"min_new_tokens":129}`), "sampling_params.min_new_tokens", "invalid_value"},
		{`{"text":[` + strings.Repeat(`"a",`, 19) + `"b"],"sampling_params":{"n":13}}`, "sampling_params.n", "invalid_value"},
		{goOn(`"sampling_params":{"n":17}`), "sampling_params.n", "invalid_value"},
		{goOn(`"sampling_params":{"stop":[1]}`), "sampling_params.stop", "invalid_value"},
		{goOn(`"sampling_params":[{}]`), "sampling_params", "unsupported"},
		{goOn(`"sampling_params":7`), "sampling_params", "invalid_value"},
		{goOn(`"return_logprob":true`), "return_logprob", "unsupported"}, {goOn(`"top_logprobs_num":3`), "top_logprobs_num", "invalid_value"},
		{goOn(`"image_data":"x"`), "image_data", "unsupported"},
		{goOn(`"lora_path":"x"`), "lora_path", "unsupported"},
		{goOn(`"input_ids":[1]`), "text", "missing_required_parameter"},
		{goOn(`"tools":[{"type":"function","function":{"name":"f"}}]`), "tools", "invalid_value"},
		{goOn(`"temperature":1`), "temperature", "unknown_parameter"},
		{`{}`, "text", "missing_required_parameter"}, {`{"text":["a",7]}`, "text[1]", "invalid_value"}, {`{"text":[]}`, "text", "invalid_value"}, {`{"text":["a",""]}`, "text[1]", "invalid_value"}, {`{"input_ids":[[1],[99999]]}`, "input_ids[1]", "invalid_value"}, {`{"text":7}`, "text", "invalid_value"},
		{`{"text":""}`, "text", "invalid_value"}, {`{"input_ids":[]}`, "input_ids", "invalid_value"}, {`{"input_ids":[[1],2]}`, "input_ids[1]", "invalid_value"}, {`{"input_ids":[[[1]]]}`, "input_ids[0]", "invalid_value"}, {`{"text":[` + strings.Repeat(`"a",`, 200) + `"b"]}`, "text", "invalid_value"},
		{`{"input_ids":[99999]}`, "input_ids", "invalid_value"}, {`{"input_ids":[-1]}`, "input_ids", "invalid_value"}, {`{"input_ids":[4294967297]}`, "input_ids", "invalid_value"},
		{`{"messages":[]}`, "messages", "invalid_value"}, {`[]`, "", "invalid_json"}, {`{"text":"a","text":"b"}`, "", "invalid_json"},
		{`{"text":"` + strings.Repeat("so ", 1<<20) + `"}`, "text", "context_length_exceeded"}, {goOn(`"model":"nobody"`), "model", "model_not_found"},
	} {
		for _, body := range []string{c.body, strings.Replace(c.body, "{", `{"stream":true,`, 1)} {
			if body == `{"stream":true,}` {
				continue
			}
			r := f.generate(t, body)
			e := envelope(t, r)
			if r.status < 400 || r.status > 499 || e.Param == nil && c.param != "" || e.Param != nil && *e.Param != c.param || e.Code == nil && c.code != "" || e.Code != nil && *e.Code != c.code {
				t.Errorf("%.80s: %d %.200s, want %s %s", body, r.status, r.body, c.param, c.code)
			}
		}
	}
	if !f.idle() {
		t.Error("something is left")
	}
}

func TestAFaultAfterTheFirstEventOfGenerateIsAnEvent(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{Script: func(*llm.Request, int) []scripted.Step {
		return []scripted.Step{{Text: "half"}, {Err: fmt.Errorf("device lost")}}
	}})
	r := f.generate(t, goOn(`"stream":true`))
	if r.status != http.StatusOK || strings.Contains(r.body, "[DONE]") || strings.Contains(r.body, "device") || strings.Count(r.body, `data: {"error"`) != 1 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := f.generate(t, goOn()); r.status != http.StatusInternalServerError {
		t.Errorf("whole: %d %s", r.status, r.body)
	}
}
