package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/spf13/pflag"
)

// maxDraftTokens bounds --draft-tokens: the engine's bound.
const maxDraftTokens = 64

// addSpeculation adds the flags of guessing ahead, and the names that they have
// with llama.cpp (--draft-max, --spec-type, --model-draft) and SGLang
// (--speculative-algorithm, --speculative-num-draft-tokens,
// --speculative-draft-model-path). vLLM's --speculative-config sets them too.
func (m *Model) addSpeculation(f *Flags) {
	f.Var(m.speculative(), "speculative", "", "guess tokens ahead where it makes answers faster, never other; ngram: what followed the last tokens before; auto: ngram where the device can check guesses", "speculative-algorithm", "spec-type")
	f.Var(m.draftTokens(), "draft-tokens", "", "most tokens that are guessed ahead of a choice", "draft-max", "draft-n", "draft", "num-speculative-tokens", "speculative-num-draft-tokens")
	f.Var(String(&m.DraftModel), "draft-model", "", "a smaller model of the same vocabulary that guesses where n-grams do not, on the CPU: folder, .gguf file or hub id", "model-draft", "md", "speculative-draft-model-path", "speculative-draft-model", "hf-repo-draft", "hfd")
	f.Hidden(speculativeConfig{m}, "speculative-config", `the same as vLLM has it: {"method": "ngram", "num_speculative_tokens": 5} or {"model": "org/name"}`)
}

func (m *Model) speculative() pflag.Value {
	return Choice(&m.Speculative, "auto", "ngram", "off", "none=off", "prompt-lookup=ngram", "ngram-simple=ngram", "ngram-cache=ngram", "[ngram]=ngram", "draft-model=auto", "draft_model=auto", "standalone=auto")
}

func (m *Model) draftTokens() pflag.Value {
	return Int(&m.DraftTokens, "tokens", 1, maxDraftTokens)
}

// speculativeConfig is vLLM's JSON object. What it can say of how n-grams are
// looked up has no effect: it would change no answer.
type speculativeConfig struct{ m *Model }

func (speculativeConfig) String() string { return "" }
func (speculativeConfig) Type() string   { return "json" }

func (v speculativeConfig) Set(s string) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(s), &fields); err != nil || fields == nil {
		return errors.New(`not a JSON object such as {"method": "ngram", "num_speculative_tokens": 5}`)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if err := v.field(name, fields[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (v speculativeConfig) field(name string, raw json.RawMessage) error {
	switch name {
	case "method":
		var method string
		if err := json.Unmarshal(raw, &method); err != nil {
			return errors.New("not a string")
		}
		return v.m.speculative().Set(method)
	case "num_speculative_tokens":
		return v.m.draftTokens().Set(string(raw))
	case "model":
		if err := json.Unmarshal(raw, &v.m.DraftModel); err != nil || v.m.DraftModel == "" {
			return errors.New("not the name of a model")
		}
		return nil
	case "prompt_lookup_min", "prompt_lookup_max":
		return Int(new(int), "tokens", 0, math.MaxInt32).Set(string(raw))
	}
	return errors.New("not known here; model, method and num_speculative_tokens are")
}
