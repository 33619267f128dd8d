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
	var own *openai.Turn // the assistant's that is being put together
	said := false        // it has content
	assistant := func(another bool) *openai.Turn {
		if own == nil || another {
			turns = append(turns, openai.Turn{Role: "assistant"})
			own, said = &turns[len(turns)-1], false
		}
		return own
	}
	for _, items := range lists {
		for i := range items {
			it := &items[i]
			switch {
			case it.Type == TypeReasoning:
				if text := it.text(); text != "" {
					t := assistant(own != nil && said && own.ToolCalls == nil)
					t.Reasoning += text
				}
			case it.Type == TypeCall:
				t := assistant(false)
				t.ToolCalls = append(t.ToolCalls, openai.NewTurnCall(it.CallID, it.Name, it.Arguments))
			case it.Type == TypeMessage && it.Role == "assistant":
				t := assistant(own != nil && said && own.ToolCalls == nil)
				if before, ok := t.Content.(string); ok {
					t.Content = before + it.text()
				} else {
					t.Content = it.text()
				}
				said = true
			case it.Type == TypeOutput:
				own, turns = nil, append(turns, openai.Turn{Role: "tool", Content: it.Output, ToolCallID: it.CallID})
			default:
				own, turns = nil, append(turns, openai.Turn{Role: it.Role, Content: it.parts()})
			}
		}
	}
	return turns
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
