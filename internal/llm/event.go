package llm

import "time"

// EventKind says what an Event carries.
type EventKind uint8

const (
	EventReasoning EventKind = iota // Text is reasoning
	EventContent                    // Text is content
	EventToolCall                   // Text is one element of OpenAI's delta.tool_calls, as JSON
	EventFinish                     // Finish and Usage are set; the choice's last event
	EventPrompt                     // Prompt is set; the choice's first event, if anything of the prompt was asked for
)

// Event is the pipeline's output: what a user sees, in order, before any
// dialect gives it a shape.
type Event struct {
	Choice int
	Kind   EventKind
	Text   string // never empty but for EventFinish; of EventPrompt the prompt's, if it is to be repeated
	Finish *Finish
	Usage  *Usage // this choice's tokens; on EventFinish
	// ThoughtStop says on EventFinish why the thought ended, see guide.Stop; ""
	// where there was none.
	ThoughtStop string
	// Logprobs are the tokens of content, ThoughtLogprobs those of reasoning, if they
	// were asked for: with the event that shows the end of them or with a later one,
	// of whatever kind. Each choice's bytes add up to its text.
	Logprobs, ThoughtLogprobs []TextLogprob
	// IDs are the tokens generated until this event that no event before had, if
	// they were asked for: all that count in Usage, markers and the last included.
	IDs    []int32
	Prompt *Prompted
}

// Prompted is what was asked of the prompt; nil: it was not.
type Prompted struct {
	IDs      []int32
	Logprobs []PromptTextLogprob
}

// PromptTextLogprob is a token of the prompt after those before it. The first has
// no log-probability: a NaN, and rank 0.
type PromptTextLogprob struct {
	TextLogprob
	Rank int // among all tokens, the likeliest being 1
}

// TextLogprob is a token by its bytes, with its natural-log probability. Of a
// token that is not shown whole the bytes are those shown.
type TextLogprob struct {
	ID      int32 // -1: not known
	Bytes   []byte
	Logprob float32       // NaN: none, of what a text begins with
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
