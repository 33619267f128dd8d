package pipeline

import (
	"encoding/json"
	"maps"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/prompt"
)

// Thinking is what a model understands of the ways to say whether, and how
// hard, it thinks; nil where another server renders its prompts.
func (m *Model) Thinking() *prompt.Switches {
	if m.Renderer == nil {
		return nil
	}
	return m.Renderer.Switches()
}

// wish is what the request says about thinking. Of the template's own options,
// the request's fields and the model's defaults, the first that says anything
// decides.
func (m *Model) wish(req *Request) prompt.Wish {
	fields := prompt.Wish{Think: req.Think, Effort: req.Effort, Adaptive: req.Adaptive}
	return prompt.ReadWish(req.Chat.Kwargs).Or(fields).Or(prompt.ReadWish(m.Kwargs))
}

// DefaultWish is what the model's own template options say about thinking.
func (m *Model) DefaultWish() (on, given bool) { return prompt.ReadWish(m.Kwargs).On() }

// kwargs are the template's options: the request's own over its wish, in the
// spelling that the template understands, over the model's.
func (m *Model) kwargs(req *Request) map[string]json.RawMessage {
	all := map[string]json.RawMessage{}
	maps.Copy(all, m.Kwargs)
	maps.Copy(all, m.Thinking().Spell(m.wish(req), req.Chat.Kwargs))
	return all
}

// start is what the parser may know before the first token.
func (m *Model) start(req *Request, open reasoning.Open) reasoning.Start {
	s := reasoning.Start{Open: open, Switches: map[string]bool{}, HasTools: len(req.Chat.Tools) > 0 && !m.endsByMarker(req)}
	if m.Tokenizer != nil {
		s.Token = func(text string) bool { _, ok := m.Tokenizer.Vocab().ID(text); return ok }
	}
	kwargs := m.kwargs(req)
	for name, raw := range kwargs {
		var on bool
		if json.Unmarshal(raw, &on) == nil {
			s.Switches[name] = on
		}
	}
	s.Effort = prompt.ReadWish(kwargs).Effort
	return s
}

// endsByMarker reports whether nothing but its marker ends a thought: a call in
// it would be the beginning of an answer that a grammar has not seen.
func (m *Model) endsByMarker(req *Request) bool {
	_, held := m.callsHeld(req)
	return (req.Grammar != nil || held) && m.Parser != nil && !m.Parser.Tools
}
