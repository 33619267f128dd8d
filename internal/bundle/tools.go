package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/reasond/reasond/internal/prompt"
	"github.com/reasond/reasond/internal/toolcall"
)

// chooseTools finds how the model writes tool calls: by the name given, or by
// what its chat template writes for past calls. Where the reasoning parser finds
// them itself there is nothing to choose. Without a name a model that shows no
// format has none; with AutoParser that is an error.
func (t *textSide) chooseTools(name string) error {
	if name == NoParser {
		return nil
	}
	if name != "" && name != AutoParser {
		d, err := toolcall.Lookup(name)
		if err != nil {
			return fmt.Errorf("--tool-call-parser: %w", err)
		}
		if t.parser == nil || !t.parser.Tools {
			t.tools = d
		}
		return nil
	}
	if t.parser != nil && t.parser.Tools || t.renderer == nil {
		return nil
	}
	var err error
	if t.tools, err = shownTools(t.renderer); err != nil && name == AutoParser {
		return fmt.Errorf("--tool-call-parser auto: %w", err)
	}
	return nil
}

// The call on trial.
const (
	trialTools = `[{"type":"function","function":{"name":"call_on_trial","description":"Tries.","parameters":{"type":"object",` +
		`"properties":{"words":{"type":"string"},"number":{"type":"integer"}},"required":["words","number"]}}}]`
	trialArguments = `{"words":"words on trial","number":7}`
	trialQuestion  = "a question on trial"
	trialResult    = "a result on trial"
)

// shownTools is the one format in which a parser reads back the call that the
// template writes. Templates differ in the ids that they take, in whether
// arguments are an object or its text, and in what stands for no content.
func shownTools(r *prompt.Renderer) (*toolcall.Descriptor, error) {
	for _, id := range []string{"call00001", "functions.call_on_trial:0"} {
		for _, said := range []struct{ content, arguments string }{
			{`""`, trialArguments}, {`""`, strconv.Quote(trialArguments)}, {`null`, strconv.Quote(trialArguments)},
		} {
			turn, err := trialTurn(r, id, said.content, said.arguments)
			if err != nil {
				continue // a template may refuse one of the spellings
			}
			for _, name := range toolcall.Names() {
				d, err := toolcall.Lookup(name)
				if err != nil {
					return nil, err
				}
				if readsBack(d, turn) {
					return d, nil
				}
			}
		}
	}
	return nil, errors.New("the chat template writes tool calls in no known format")
}

// trialTurn is what the template writes for an assistant's turn with a call.
func trialTurn(r *prompt.Renderer, id, content, arguments string) (string, error) {
	render := func(messages string, generate bool) (string, error) {
		out, err := r.Render(prompt.Input{
			Messages: json.RawMessage("[" + messages + "]"), Tools: json.RawMessage(trialTools),
			AddGenerationPrompt: generate, Now: time.Unix(0, 0).UTC(),
		})
		return out.Text, err
	}
	question := `{"role":"user","content":"` + trialQuestion + `"}`
	call := question + `,{"role":"assistant","content":` + content + `,"tool_calls":[{"id":"` + id + `","type":"function",` +
		`"function":{"name":"call_on_trial","arguments":` + arguments + `}}]}` +
		`,{"role":"tool","tool_call_id":"` + id + `","name":"call_on_trial","content":"` + trialResult + `"}`
	start, err := render(question, true)
	if err != nil {
		return "", err
	}
	whole, err := render(call, false)
	if err != nil {
		return "", err
	}
	turn, ok := strings.CutPrefix(whole, start)
	if !ok { // the prompt may begin a thought that the past turn does not show
		turn = whole[strings.LastIndex(whole, trialQuestion)+1:]
	}
	turn, _, _ = strings.Cut(turn, trialResult)
	return turn, nil
}

func readsBack(d *toolcall.Descriptor, turn string) bool {
	if len(d.Opens) == 0 {
		turn = strings.TrimSpace(turn)
	}
	_, calls := toolcall.Parse(d, toolcall.ReadTools(json.RawMessage(trialTools)), turn)
	if len(calls) != 1 || calls[0].Name != "call_on_trial" {
		return false
	}
	var got, want any
	if json.Unmarshal([]byte(calls[0].Arguments), &got) != nil || json.Unmarshal([]byte(trialArguments), &want) != nil {
		return false
	}
	return reflect.DeepEqual(got, want)
}
