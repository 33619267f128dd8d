package responses

import (
	"slices"
	"testing"

	"github.com/reasond/reasond/api/openai"
)

func piece(id, name, arguments string) openai.ToolCall {
	return openai.ToolCall{ID: id, Function: openai.FunctionCall{Name: name, Arguments: arguments}}
}

// Pieces of several calls may come in turns: each goes to its own item, which
// stays open until its arguments are whole.
func TestCallsInTurnsStayApart(t *testing.T) {
	w := NewWriter(Response{ID: "resp_1"})
	var all []Event
	for _, more := range [][]Event{
		w.Begin(), w.Call(0, piece("c0", "f", "")), w.Call(0, piece("", "", `{"a":`)), w.Call(1, piece("c1", "g", `{}`)),
		w.Call(0, piece("", "", `1}`)), w.Content("done", nil), w.Call(0, piece("", "", "x")), w.Close(Completed), {w.End(Ending{Status: Completed, At: 1})},
	} {
		all = append(all, more...)
	}
	var kinds []string
	for i, e := range all {
		if e.SequenceNumber != i {
			t.Errorf("event %d has the number %d", i, e.SequenceNumber)
		}
		kinds = append(kinds, e.Type)
	}
	const added, delta, done, ended = "response.output_item.added", "response.function_call_arguments.delta", "response.function_call_arguments.done", "response.output_item.done"
	want := []string{
		"response.created", "response.in_progress", added, delta, added, delta, delta, done, ended, done, ended,
		added, "response.content_part.added", "response.output_text.delta", "response.output_text.done", "response.content_part.done", ended, "response.completed",
	}
	if !slices.Equal(kinds, want) {
		t.Errorf("got  %q\nwant %q", kinds, want)
	}
	r := w.Response()
	if len(r.Output) != 3 || r.Output[0].Arguments != `{"a":1}` || r.Output[1].Arguments != `{}` || r.Output[2].Parts[0].Text != "done" || *r.CompletedAt != 1 {
		t.Errorf("%+v", r)
	}
}

// What is open when a response is cut is incomplete; calls whose arguments are
// whole are not.
func TestWhatIsCutIsIncomplete(t *testing.T) {
	w := NewWriter(Response{})
	w.Call(0, piece("c0", "f", "{}"))
	w.Call(1, piece("c1", "g", `{"a`))
	w.Content("wor", nil)
	w.Close(Cancelled)
	last := w.End(Ending{Status: Cancelled})
	var got []string
	for _, it := range last.Response.Output {
		got = append(got, it.Status)
	}
	if !slices.Equal(got, []string{Completed, Incomplete, Incomplete}) || last.Type != "response.incomplete" || last.Response.Status != Cancelled {
		t.Errorf("%q, %+v", got, last)
	}
}
