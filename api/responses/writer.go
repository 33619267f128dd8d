package responses

import (
	"encoding/json"
	"strings"

	"github.com/reasond/reasond/api/openai"
)

// Writer makes a response of what is generated, item by item, and the events
// that tell of it. Both forms of an answer come from one: a whole answer is the
// response that the last event has. Its laws: of each item added comes before
// every delta, these before every done; an id and an index stay as they are; the
// deltas joined are the text of the done, which is the response's; sequence
// numbers have no gap.
type Writer struct {
	response Response
	next     int // sequence number
	items    []*writing
	text     *writing         // the reasoning or message that is open; nil: none
	calls    map[int]*writing // by their index among the calls
}

// writing is an item on its way.
type writing struct {
	item     Item
	index    int // in the output
	text     strings.Builder
	logprobs []openai.TokenLogprob
	done     bool
}

// NewWriter begins a response, of which ID, CreatedAt and Settings are given.
func NewWriter(r Response) *Writer {
	r.Object, r.Status, r.Output = "response", InProgress, []Item{}
	if r.Tools == nil {
		r.Tools = []json.RawMessage{}
	}
	return &Writer{response: r, calls: map[int]*writing{}}
}

// Response is what there is so far: the items that are done.
func (w *Writer) Response() Response {
	r := w.response
	r.Output = []Item{}
	for _, it := range w.items {
		if it.done {
			r.Output = append(r.Output, it.item)
		}
	}
	return r
}

// Begin is what a stream begins with.
func (w *Writer) Begin() []Event {
	return []Event{w.whole("response.created"), w.whole("response.in_progress")}
}

// Reasoning adds a piece of thought.
func (w *Writer) Reasoning(text string) []Event {
	if text == "" {
		return nil
	}
	out := w.open(TypeReasoning, Part{Type: "reasoning_text"})
	w.text.text.WriteString(text)
	e := w.inPart("response.reasoning_text.delta", w.text)
	e.Delta = &text
	return append(out, e)
}

// Content adds a piece of the answer's text.
func (w *Writer) Content(text string, logprobs []openai.TokenLogprob) []Event {
	if text == "" && logprobs == nil {
		return nil
	}
	out := w.open(TypeMessage, Part{Type: "output_text"})
	w.text.text.WriteString(text)
	w.text.logprobs = append(w.text.logprobs, logprobs...)
	e := w.inPart("response.output_text.delta", w.text)
	e.Delta, e.Logprobs = &text, list(logprobs)
	return append(out, e)
}

// Call adds a piece of a tool call: its id and name, or more of its arguments.
// Pieces of several calls may come in turns. What follows a call that is over is
// not taken.
func (w *Writer) Call(index int, piece openai.ToolCall) []Event {
	var out []Event
	it := w.calls[index]
	if it == nil {
		id := piece.ID
		if id == "" {
			id = newID(TypeCall)
		}
		out = append(w.closeText(Completed), w.closeCalls(false)...)
		it = &writing{item: Item{Type: TypeCall, ID: newID(TypeCall), Status: InProgress, CallID: id, Name: piece.Function.Name}}
		w.calls[index] = it
		out = append(out, w.add(it))
	}
	if more := piece.Function.Arguments; more != "" && !it.done {
		it.text.WriteString(more)
		e := w.event("response.function_call_arguments.delta")
		e.OutputIndex, e.ItemID, e.Delta = &it.index, it.item.ID, &more
		out = append(out, e)
	}
	return out
}

// Ending is how a response ends.
type Ending struct {
	Status        string // Completed, Incomplete, Failed, Cancelled
	At            int64  // unix seconds
	Error         *Error
	Usage         *Usage
	ReasoningStop string
}

// Close ends what is open, before the last event.
func (w *Writer) Close(status string) []Event {
	if status != Completed {
		status = Incomplete
	}
	return append(w.closeText(status), w.closeCalls(true)...)
}

// Error tells of an error between Close and End.
func (w *Writer) Error(code, param, message string) ErrorEvent {
	e := ErrorEvent{Type: "error", SequenceNumber: w.event("error").SequenceNumber, Message: message}
	if code != "" {
		e.Code = &code
	}
	if param != "" {
		e.Param = &param
	}
	return e
}

// End is the last event. There is none for cancelled ones in the API, whose
// clients know response.incomplete to be a stream's end.
func (w *Writer) End(end Ending) Event {
	w.response = w.Response()
	r := &w.response
	r.Status, r.Error, r.Usage, r.ReasoningStop = end.Status, end.Error, end.Usage, end.ReasoningStop
	kind := "response." + end.Status
	switch end.Status {
	case Completed:
		r.CompletedAt = &end.At
	case Incomplete:
		r.IncompleteDetails = &IncompleteDetails{Reason: "max_output_tokens"}
	case Cancelled:
		kind = "response.incomplete"
	}
	return w.whole(kind)
}

// open makes the open text item one of the kind.
func (w *Writer) open(kind string, p Part) []Event {
	if w.text != nil && w.text.item.Type == kind {
		return nil
	}
	out := append(w.closeText(Completed), w.closeCalls(false)...)
	it := &writing{item: Item{Type: kind, ID: newID(kind), Status: InProgress}}
	if kind == TypeMessage {
		it.item.Role = "assistant"
	}
	out = append(out, w.add(it))
	it.item.Parts = []Part{p}
	w.text = it
	e := w.inPart("response.content_part.added", it)
	e.Part = &p
	return append(out, e)
}

// add announces an item, as it is before it has content.
func (w *Writer) add(it *writing) Event {
	it.index = len(w.items)
	w.items = append(w.items, it)
	return w.aboutItem("response.output_item.added", it)
}

func (w *Writer) closeText(status string) []Event {
	it := w.text
	if it == nil {
		return nil
	}
	w.text = nil
	text := it.text.String()
	kind := "response.reasoning_text.done"
	if it.item.Type == TypeMessage {
		kind = "response.output_text.done"
	}
	done := w.inPart(kind, it)
	done.Text = &text
	part := it.item.Parts[0]
	if part.Text = text; it.item.Type == TypeMessage {
		part.Logprobs, done.Logprobs = it.logprobs, list(it.logprobs)
	}
	ended := w.inPart("response.content_part.done", it)
	ended.Part = &part
	it.item.Parts, it.item.Status, it.done = []Part{part}, status, true
	return []Event{done, ended, w.aboutItem("response.output_item.done", it)}
}

// closeCalls ends the calls whose arguments are a whole value, to which nothing
// can be added; at the end the others too.
func (w *Writer) closeCalls(all bool) []Event {
	var out []Event
	for _, it := range w.items {
		if it.item.Type != TypeCall || it.done {
			continue
		}
		arguments := it.text.String()
		whole := json.Valid([]byte(arguments))
		if !whole && !all {
			continue
		}
		it.item.Arguments, it.item.Status, it.done = arguments, Completed, true
		if !whole {
			it.item.Status = Incomplete
		}
		e := w.event("response.function_call_arguments.done")
		e.OutputIndex, e.ItemID, e.Name, e.Arguments = &it.index, it.item.ID, it.item.Name, &arguments
		out = append(out, e, w.aboutItem("response.output_item.done", it))
	}
	return out
}

func (w *Writer) event(kind string) Event {
	w.next++
	return Event{Type: kind, SequenceNumber: w.next - 1}
}

func (w *Writer) whole(kind string) Event {
	e := w.event(kind)
	r := w.response
	e.Response = &r
	return e
}

func (w *Writer) aboutItem(kind string, it *writing) Event {
	e := w.event(kind)
	item := it.item
	e.OutputIndex, e.Item = &it.index, &item
	return e
}

var firstPart = 0 // items have one part

func (w *Writer) inPart(kind string, it *writing) Event {
	e := w.event(kind)
	e.OutputIndex, e.ItemID, e.ContentIndex = &it.index, it.item.ID, &firstPart
	return e
}

// list is never null on the wire.
func list(logprobs []openai.TokenLogprob) *[]openai.TokenLogprob {
	if logprobs == nil {
		logprobs = []openai.TokenLogprob{}
	}
	return &logprobs
}
