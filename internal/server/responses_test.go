package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/toolcall"
)

type object = map[string]any

// event is one of a stream: its name and its data.
type event struct {
	name string
	data object
}

func events(t *testing.T, body string) []event {
	t.Helper()
	var all []event
	for _, block := range strings.Split(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		if strings.HasPrefix(block, ":") {
			continue
		}
		name, data, ok := strings.Cut(strings.TrimPrefix(block, "event: "), "\ndata: ")
		var e object
		if err := json.Unmarshal([]byte(data), &e); err != nil || !ok || strings.Contains(data, "\n") || e["type"] != name {
			t.Fatalf("not an event: %q: %v", block, err)
		}
		all = append(all, event{name, e})
	}
	return all
}

// fold is what a client knows of the output who listens to nothing but deltas,
// checked against every other event. It returns the last event's response.
func fold(t *testing.T, all []event) object {
	t.Helper()
	f := &folded{t: t, ids: map[string]bool{}}
	for i, e := range all {
		if e.data["sequence_number"] != float64(i) {
			t.Fatalf("event %d has the number %v", i, e.data["sequence_number"])
		}
		f.event(i, e)
	}
	if len(all) < 3 || f.last == nil {
		t.Fatalf("a stream of %d events without an end", len(all))
	}
	for i, it := range f.items {
		if it.stage != "done" {
			t.Errorf("item %d ends %s", i, it.stage)
		}
	}
	output := make([]any, len(f.items))
	for i, it := range f.items {
		output[i] = it.item
	}
	if got, want := jsonOf(t, output), jsonOf(t, f.last["output"]); got != want {
		t.Errorf("the events make\n%s\nthe response has\n%s", got, want)
	}
	return f.last
}

// folded is a stream so far.
type folded struct {
	t     *testing.T
	items []*foldedItem
	ids   map[string]bool
	first string // id of the response
	last  object
}

type foldedItem struct {
	item  object
	stage string // added, open, closed, done
	text  string
}

func (f *folded) event(i int, e event) {
	f.t.Helper()
	if f.last != nil {
		f.t.Errorf("%s after the end", e.name)
	}
	if r, ok := e.data["response"].(object); ok {
		f.response(i, e.name, r)
		return
	}
	index, ok := e.data["output_index"].(float64)
	switch {
	case e.name == "error":
		return
	case !ok:
		f.t.Fatalf("%s without an index", e.name)
	case e.name == "response.output_item.added":
		item := e.data["item"].(object)
		id, _ := item["id"].(string)
		if int(index) != len(f.items) || item["status"] != "in_progress" || id == "" || f.ids[id] {
			f.t.Errorf("item %v is added as %v", index, item)
		}
		f.ids[id] = true
		f.items = append(f.items, &foldedItem{item: item, stage: "added"})
		return
	case int(index) >= len(f.items):
		f.t.Fatalf("%s of an item that was not added: %v", e.name, e.data)
	}
	it := f.items[int(index)]
	if id, ok := e.data["item_id"]; ok && id != it.item["id"] {
		f.t.Errorf("%s: the id %v has become %v", e.name, it.item["id"], id)
	}
	it.event(f.t, e)
}

func (f *folded) response(i int, name string, r object) {
	if i < 2 {
		if want := []string{"response.created", "response.in_progress"}[i]; name != want || r["status"] != "in_progress" || len(r["output"].([]any)) != 0 {
			f.t.Errorf("event %d is %s: %v", i, name, r)
		}
		f.first, _ = r["id"].(string)
		return
	}
	f.last = r
	want := "response." + r["status"].(string)
	if want == "response.cancelled" {
		want = "response.incomplete"
	}
	if name != want || f.first != r["id"] {
		f.t.Errorf("the last event is %s of %v, the response %v is %v", name, r["id"], f.first, r["status"])
	}
}

// event takes the item one stage further.
func (it *foldedItem) event(t *testing.T, e event) {
	t.Helper()
	call := it.item["type"] == "function_call"
	text := map[any]string{"reasoning": "response.reasoning_text", "message": "response.output_text", "function_call": "response.function_call_arguments"}[it.item["type"]]
	step := map[string][2]string{ // event: before, after
		"response.content_part.added": {"added", "open"},
		text + ".delta":               {"open", "open"},
		text + ".done":                {"open", "closed"},
		"response.content_part.done":  {"closed", "shut"},
		"response.output_item.done":   {"shut", "done"},
	}
	if call {
		step = map[string][2]string{text + ".delta": {"added", "added"}, text + ".done": {"added", "closed"}, "response.output_item.done": {"closed", "done"}}
	}
	s, ok := step[e.name]
	if !ok || it.stage != s[0] {
		t.Fatalf("%s in the stage %q of %v", e.name, it.stage, it.item)
	}
	it.stage = s[1]
	switch {
	case strings.HasSuffix(e.name, ".delta"):
		it.text += e.data["delta"].(string)
	case e.name == text+".done":
		said := e.data["text"]
		if call {
			said = e.data["arguments"]
		}
		if said != it.text {
			t.Errorf("%s has %q, the deltas %q", e.name, said, it.text)
		}
	case e.name == "response.content_part.added":
		if part := e.data["part"].(object); part["text"] != "" {
			t.Errorf("a part begins with %v", part)
		}
	case e.name == "response.content_part.done":
		it.item["content"] = []any{e.data["part"]}
		if e.data["part"].(object)["text"] != it.text {
			t.Errorf("the part has %v, the deltas %q", e.data["part"], it.text)
		}
	case e.name == "response.output_item.done":
		done := e.data["item"].(object)
		if it.item["status"] = done["status"]; call {
			it.item["arguments"] = it.text
		}
		if done["status"] == "in_progress" || jsonOf(t, done) != jsonOf(t, it.item) {
			t.Errorf("the item is done as %v, the events make %v", done, it.item)
		}
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// responseAsk is a body with more members.
func responseAsk(more ...string) string {
	return `{"input":"What is it?"` + strings.Join(append([]string{""}, more...), ",") + `}`
}

func (f *fixture) respond(t *testing.T, body string, header ...string) response {
	t.Helper()
	return f.do(t, "POST", "/v1/responses", body, header...)
}

// responded is a whole answer.
func (f *fixture) responded(t *testing.T, body string, header ...string) object {
	t.Helper()
	r := f.respond(t, body, header...)
	var o object
	if err := json.Unmarshal([]byte(r.body), &o); err != nil || r.status != 200 {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return o
}

var (
	anyItemID = regexp.MustCompile(`"(resp_|rs_|msg_|fc_|call_|chatcmpl-tool-)[A-Za-z0-9]+"`)
	anyTime   = regexp.MustCompile(`"(created_at|completed_at)": [0-9]{10}`)
)

// alike masks what is another's in each answer.
func alike(t *testing.T, v any) string {
	t.Helper()
	return anyTime.ReplaceAllString(anyItemID.ReplaceAllString(jsonOf(t, v), `"$1*"`), `"$1": 0`)
}

// withTools is a fixture whose model calls tools as Hermes does.
func withTools(t *testing.T, script scripted.Config) *fixture {
	t.Helper()
	return beginWith(t, script, func(m *pipeline.Model) {
		var err error
		if m.Tools, err = toolcall.Lookup("hermes"); err != nil {
			t.Fatal(err)
		}
	})
}

func beginWith(t *testing.T, script scripted.Config, change func(*pipeline.Model)) *fixture {
	t.Helper()
	if script.End.Reason == "" {
		script.End = llm.Finish{Reason: llm.FinishStop, StopID: 1273}
	}
	engine := scripted.New(script)
	m := tinyModel(t, engine)
	change(m)
	f := begin(t, Config{Models: models(m)}, scripted.Config{})
	t.Cleanup(func() { _ = engine.Close() })
	return f
}

const (
	weather = `"tools":[{"type":"function","name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}},"strict":null},` +
		`{"type":"function","name":"time","parameters":{"type":"object"}}]`
	callOne = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Köln <b>\"}}\n</tool_call>"
	callTwo = "<tool_call>\n{\"name\": \"time\", \"arguments\": {}}\n</tool_call>"
)

// The streamed events folded are the whole answer, which is what the store has;
// items come in order and go through their stages.
func TestTheStreamOfAResponseFoldedIsTheResponse(t *testing.T) {
	stop, length := llm.Finish{Reason: llm.FinishStop, StopID: 1273}, llm.Finish{Reason: llm.FinishLength, StopID: -1}
	seen := map[string]int{}
	for _, text := range []string{
		raw, answer, "", "<think>", "<think>\nonly a thought", "<think>a</think>", "<think>a</think>b", "\n", "a <think>b</think> c",
		callOne, callOne + "\n" + callTwo, "<think>\nCall.\n</think>\n\n" + callOne, "Let me look.\n" + callOne + callTwo,
		"<think>x</think>I ask.\n" + callOne + "\nDone.", callOne[:40], callOne[:len(callOne)-20], "<tool_call>\nnonsense\n</tool_call>", callTwo + callTwo + callTwo,
	} {
		for _, end := range []llm.Finish{stop, length} {
			for _, size := range []int{1, 3, 1000} {
				f := withTools(t, scripted.Config{Script: spell(text, size), End: end})
				for _, more := range []string{`"user":"a"`, weather, weather + `,"parallel_tool_calls":false`, `"stop":["42","only"]`, `"max_output_tokens":5`, `"include_reasoning":false`} {
					name := fmt.Sprintf("%q in pieces of %d, %s, %s", text, size, end.Reason, more)
					whole := f.responded(t, responseAsk(more))
					all := events(t, f.respond(t, responseAsk(more, `"stream":true`)).body)
					last := fold(t, all)
					if got, want := alike(t, last), alike(t, whole); got != want {
						t.Errorf("%s: streamed\n%s\nwhole\n%s", name, got, want)
					}
					if t.Failed() {
						t.Fatal(name)
					}
					for _, r := range []object{last, whole} {
						var kept object
						id := r["id"].(string)
						if err := json.Unmarshal([]byte(f.do(t, "GET", "/v1/responses/"+id, "").body), &kept); err != nil || jsonOf(t, kept) != jsonOf(t, r) {
							t.Fatalf("%s: the store has %v, the answer was %v", name, kept, r)
						}
					}
					for _, e := range all {
						seen[e.name]++
					}
					seen["items "+kinds(last)+" "+last["status"].(string)]++
				}
			}
		}
	}
	for _, want := range []string{"response.completed", "response.incomplete", "response.reasoning_text.done", "response.output_text.done",
		"response.function_call_arguments.done", "items reasoning message completed", "items reasoning incomplete", "items function_call function_call completed",
		"items reasoning message function_call message completed", "items  completed"} {
		if seen[want] == 0 {
			t.Errorf("no %s among %v", want, slices.Sorted(maps.Keys(seen)))
		}
	}
}

// kinds are the types of the items.
func kinds(r object) string {
	var all []string
	for _, it := range r["output"].([]any) {
		all = append(all, it.(object)["type"].(string))
	}
	return strings.Join(all, " ")
}
