package llm

import "time"

// EventKind says what an Event carries.
type EventKind uint8

const (
	EventReasoning EventKind = iota // Text is reasoning
	EventContent                    // Text is content
	EventToolCall                   // Text is one element of OpenAI's delta.tool_calls, as JSON
	EventFinish                     // Finish and Usage are set; the choice's last event
)

// Event is the pipeline's output: what a user sees, in order, before any
// dialect gives it a shape.
type Event struct {
	Choice int
	Kind   EventKind
	Text   string // never empty but for EventFinish
	Finish *Finish
	Usage  *Usage // this choice's tokens; on EventFinish
	// ThoughtStop says on EventFinish why the thought ended, see guide.Stop; ""
	// where there was none.
	ThoughtStop string
	// Logprobs are the tokens of content, if they were asked for: with the event
	// that shows them or, where a stop string may still begin, with a later one.
	Logprobs []TextLogprob
}

// TextLogprob is a token by its bytes, with its natural-log probability.
type TextLogprob struct {
	Bytes   []byte
	Logprob float32
	Top     []TextLogprob // likeliest first, each without its own
}

// Timeline says when a choice's phases were; a zero time is one that has not come.
type Timeline struct {
	Thought, ThoughtEnd time.Time // its first and its latest token of reasoning, shown or not
	Answer              time.Time // the first content or tool call was shown
}

// Usage counts tokens. Completion includes Reasoning; Prompt includes Cached.
type Usage struct {
	Prompt     int
	Cached     int
	Completion int
	Reasoning  int // tokens of reasoning text, markers excluded
}
