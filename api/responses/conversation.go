package responses

import (
	"fmt"
	"strings"

	"github.com/reasond/reasond/api/openai"
)

type textPart struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// Resolve puts the items that find knows in the place of references to them.
func (r *Request) Resolve(find func(id string) (Item, bool)) error {
	for i := range r.Input {
		if r.Input[i].Type != typeReference {
			continue
		}
		item, ok := find(r.Input[i].ID)
		if !ok {
			return &openai.Error{Param: fmt.Sprintf("input[%d].id", i), Code: "item_not_found", Message: fmt.Sprintf("input[%d].id: there is no item with this id", i)}
		}
		r.Input[i] = item
	}
	return nil
}

// Chat is the request as a chat's, after the items of an earlier conversation.
// It is called once, after Resolve.
func (r *Request) Chat(history []Item) (*openai.ChatRequest, error) {
	var turns []openai.Turn
	if s := r.Settings.Instructions; s != nil && *s != "" {
		turns = append(turns, openai.Turn{Role: "system", Content: *s})
	}
	turns = append(turns, conversation(history, r.Input)...)
	if turns == nil {
		return nil, openai.Invalid("input", "there is nothing to answer")
	}
	if err := r.chat.Set("messages", "input", openai.NewValue(turns)); err != nil {
		return nil, err
	}
	wire, err := r.chat.Finish(true)
	if err != nil {
		return nil, err
	}
	r.Settings.MaxOutputTokens, r.Settings.ParallelToolCalls = wire.MaxTokens, !wire.OneCall
	if wire.TopLogprobs != nil {
		r.Settings.TopLogprobs = *wire.TopLogprobs
	}
	return wire, nil
}

// conversation is items as messages. What an assistant did between two
// others' items is one message: its thoughts, its words, its calls.
func conversation(lists ...[]Item) []openai.Turn {
	var turns []openai.Turn
	var own *assistantTurn // that is being put together
	over := func() {
		if own != nil {
			turns = append(turns, own.whole())
		}
		own = nil
	}
	assistant := func(another bool) *assistantTurn {
		if another {
			over()
		}
		if own == nil {
			own = &assistantTurn{}
		}
		return own
	}
	for _, items := range lists {
		for i := range items {
			it := &items[i]
			switch {
			case it.Type == TypeReasoning:
				if text := it.text(); text != "" {
					assistant(own != nil && own.said && own.calls == nil).thought.WriteString(text)
				}
			case it.Type == TypeCall:
				t := assistant(false)
				t.calls = append(t.calls, openai.NewTurnCall(it.CallID, it.Name, it.Arguments))
			case it.Type == TypeMessage && it.Role == "assistant":
				t := assistant(own != nil && own.said && own.calls == nil)
				t.text.WriteString(it.text())
				t.said = true
			case it.Type == TypeOutput:
				over()
				turns = append(turns, openai.Turn{Role: "tool", Content: it.Output, ToolCallID: it.CallID})
			default:
				over()
				turns = append(turns, openai.Turn{Role: it.Role, Content: it.parts()})
			}
		}
	}
	over()
	return turns
}

// assistantTurn is a message of an assistant's items.
type assistantTurn struct {
	text, thought strings.Builder
	said          bool // there is text, or an empty one
	calls         []openai.TurnCall
}

func (t *assistantTurn) whole() openai.Turn {
	whole := openai.Turn{Role: "assistant", Reasoning: t.thought.String(), ToolCalls: t.calls}
	if t.said {
		whole.Content = t.text.String()
	}
	return whole
}

// text is all of an item's text.
func (i *Item) text() string {
	var b strings.Builder
	for _, p := range i.Parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// parts is the one text that there is, or all of them.
func (i *Item) parts() any {
	if len(i.Parts) == 1 {
		return i.Parts[0].Text
	}
	parts := []textPart{}
	for _, p := range i.Parts {
		parts = append(parts, textPart{"text", p.Text})
	}
	return parts
}
