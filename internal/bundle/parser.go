package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/prompt"
	builtin "github.com/reasond/reasond/internal/reasoning"
	"github.com/reasond/reasond/internal/weights"
)

// Names of parsers that are none's.
const (
	AutoParser = "auto" // the one that the model's chat template shows
	NoParser   = "none" // everything is content
)

// chooseParser finds the reasoning parser: the one named, or what the model
// brings shows. Without a name a model that shows none has none, and noParser
// says why; with AutoParser that is an error.
func (t *textSide) chooseParser(name string, src *weights.Model) error {
	switch name {
	case NoParser:
		return nil
	case "", AutoParser:
	default:
		d, err := reasoning.Lookup(name)
		if err == nil && d.Name == builtin.ResponseTemplate && src != nil {
			if d, err = responseTemplate(src); err != nil {
				err = fmt.Errorf("--reasoning-parser %s: %w", name, err)
			}
		}
		t.parser = &d
		return err
	}
	if t.parser, t.noParser = shownParser(src, t); t.noParser != nil && name == AutoParser {
		return fmt.Errorf("--reasoning-parser auto: %w", t.noParser)
	}
	return nil
}

// knownParser refuses a name that is no parser's.
func knownParser(name string) error {
	if name == "" || name == NoParser || name == AutoParser {
		return nil
	}
	_, err := reasoning.Lookup(name)
	return err
}

// shownParser is the parser of the model's response template, or else the one
// that its chat template shows and a trial of the two together confirms.
func shownParser(src *weights.Model, text *textSide) (*reasoning.Descriptor, error) {
	d, err := responseTemplate(src)
	if errors.Is(err, builtin.ErrNoResponseTemplate) {
		d, err = detectParser(text)
	}
	if err != nil {
		return nil, err
	}
	if err := try(text.renderer, d); err != nil {
		return nil, fmt.Errorf("reasoning parser %s does not fit the chat template: %w", d.Name, err)
	}
	return &d, nil
}

func responseTemplate(src *weights.Model) (reasoning.Descriptor, error) {
	if src.FS == nil {
		return reasoning.Descriptor{}, builtin.ErrNoResponseTemplate
	}
	config, err := fs.ReadFile(src.FS, tokenizerConfigFile)
	if errors.Is(err, fs.ErrNotExist) {
		return reasoning.Descriptor{}, builtin.ErrNoResponseTemplate
	}
	if err != nil {
		return reasoning.Descriptor{}, err
	}
	return builtin.FromTokenizerConfig(config)
}

func detectParser(text *textSide) (reasoning.Descriptor, error) {
	b := builtin.Brought{Template: text.templates.Source()}
	for _, t := range text.tokenizer.Vocab().Added() {
		b.Tokens = append(b.Tokens, t.Content)
	}
	name, err := builtin.Detect(b)
	if err != nil {
		return reasoning.Descriptor{}, err
	}
	return reasoning.Lookup(name)
}

// What the trial's answer says. No template has such words.
const (
	trialThought = "a thought on trial"
	trialAnswer  = "an answer on trial"
)

// trialSides are the ways to ask in the trial: as is, thinking, not thinking.
func trialSides(s *prompt.Switches) []map[string]json.RawMessage {
	on, off := true, false
	return []map[string]json.RawMessage{nil, s.Kwargs(prompt.Wish{Think: &on}), s.Kwargs(prompt.Wish{Think: &off})}
}

// try renders a turn, with the switches as they are, on and off, and has the
// parser take apart answers to it:
//
//  1. what the template itself writes for an assistant's message with a thought,
//     where that goes on from the turn's prompt;
//  2. where it never does, a thought between the parser's own markers;
//  3. where the prompt opens no thought, an answer without any.
func try(r *prompt.Renderer, d reasoning.Descriptor) error {
	var written int
	var starts []prompt.Output
	for _, kwargs := range trialSides(r.Switches()) {
		start, err := trialRender(r, d, kwargs, false)
		if err != nil {
			return err
		}
		starts = append(starts, start)
		whole, err := trialRender(r, d, kwargs, true)
		if err != nil {
			continue // a template may refuse a chat that ends with the assistant's words
		}
		rest, follows := strings.CutPrefix(whole.Text, start.Text)
		end := strings.LastIndex(rest, trialAnswer)
		if !follows || end < 0 || !strings.Contains(rest[:end], trialThought) {
			continue
		}
		written++
		if err := expect(d, start, rest[:end+len(trialAnswer)], trialThought); err != nil { // 1
			return err
		}
	}
	for _, start := range starts {
		if written == 0 && len(d.Opens) > 0 && len(d.Closes) > 0 { // 2
			answer := trialThought + d.Closes[0] + trialAnswer
			if start.ReasoningOpen != reasoning.OpenYes {
				answer = d.Opens[0] + answer
			}
			if err := expect(d, start, answer, trialThought); err != nil {
				return err
			}
		}
		if start.ReasoningOpen == reasoning.OpenNo { // 3
			if err := expect(d, start, trialAnswer, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

func trialRender(r *prompt.Renderer, d reasoning.Descriptor, kwargs map[string]json.RawMessage, answered bool) (prompt.Output, error) {
	messages := `{"role":"user","content":"a question on trial"}`
	if answered {
		messages += `,{"role":"assistant","reasoning_content":"` + trialThought + `","content":"` + trialAnswer + `"}`
	}
	return r.Render(prompt.Input{
		Messages: json.RawMessage("[" + messages + "]"), Kwargs: kwargs, AddGenerationPrompt: !answered,
		Now: time.Unix(0, 0).UTC(), Markers: prompt.Markers{Open: d.Opens, Close: d.Closes},
	})
}

// expect parses an answer, in which white space at the ends does not count.
func expect(d reasoning.Descriptor, start prompt.Output, answer, thought string) error {
	p := d.New(reasoning.Start{Open: start.ReasoningOpen})
	var r, c strings.Builder
	for _, s := range p.Close(p.Feed(nil, answer)) {
		switch s.Kind {
		case reasoning.Reasoning:
			r.WriteString(s.Text)
		case reasoning.Content:
			c.WriteString(s.Text)
		}
	}
	if strings.TrimSpace(r.String()) != thought || strings.TrimSpace(c.String()) != trialAnswer {
		return fmt.Errorf("it takes %.120q for the thought %.80q and the answer %.80q", answer, r.String(), c.String())
	}
	return nil
}
