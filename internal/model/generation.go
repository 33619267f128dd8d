package model

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/reasond/reasond/internal/llm"
)

// Generation is what a model's files say about generating: the tokens that end
// a text and the authors' sampling defaults. A nil field was not stated.
type Generation struct {
	EOS []int32 // of generation_config.json and config.json together, sorted
	BOS *int32

	DoSample          *bool
	Temperature       *float64
	TopK              *int
	TopP              *float64
	MinP              *float64
	RepetitionPenalty *float64
	MaxNewTokens      *int
}

type rawGeneration struct {
	EOS               ids      `json:"eos_token_id"`
	BOS               ids      `json:"bos_token_id"`
	DoSample          *bool    `json:"do_sample"`
	Temperature       *float64 `json:"temperature"`
	TopK              *int     `json:"top_k"`
	TopP              *float64 `json:"top_p"`
	MinP              *float64 `json:"min_p"`
	RepetitionPenalty *float64 `json:"repetition_penalty"`
	MaxNewTokens      *int     `json:"max_new_tokens"`
}

// ids is a token id, a list of them, or null.
type ids []int32

// UnmarshalJSON implements json.Unmarshaler.
func (v *ids) UnmarshalJSON(data []byte) error {
	var list []int32
	if len(data) > 0 && data[0] != '[' && string(data) != "null" {
		data = slices.Concat([]byte("["), data, []byte("]"))
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("a token id is %.40s, must be an integer or a list of them", data)
	}
	for _, id := range list {
		if id < 0 || id >= maxVocab {
			return fmt.Errorf("a token id is %d, must be 0 to %d", id, maxVocab-1)
		}
	}
	*v = list
	return nil
}

// ParseGeneration reads config.json and generation_config.json, which may be
// nil. An error is one line that names file and field.
func ParseGeneration(config, generation json.RawMessage) (Generation, error) {
	var fromConfig struct {
		EOS ids `json:"eos_token_id"`
		BOS ids `json:"bos_token_id"`
	}
	if err := json.Unmarshal(config, &fromConfig); err != nil {
		return Generation{}, fmt.Errorf("config.json: %w", fieldError(err))
	}
	var raw rawGeneration
	if generation != nil {
		if err := json.Unmarshal(generation, &raw); err != nil {
			return Generation{}, fmt.Errorf("generation_config.json: %w", fieldError(err))
		}
	}
	if err := raw.validate(); err != nil {
		return Generation{}, fmt.Errorf("generation_config.json: %w", err)
	}
	g := Generation{
		EOS:      slices.Concat(raw.EOS, fromConfig.EOS),
		DoSample: raw.DoSample, Temperature: raw.Temperature, TopK: raw.TopK, TopP: raw.TopP,
		MinP: raw.MinP, RepetitionPenalty: raw.RepetitionPenalty, MaxNewTokens: raw.MaxNewTokens,
	}
	slices.Sort(g.EOS)
	g.EOS = slices.Compact(g.EOS)
	if bos := slices.Concat(raw.BOS, fromConfig.BOS); len(bos) > 0 {
		g.BOS = &bos[0]
	}
	return g, nil
}

func (raw *rawGeneration) validate() error {
	for _, f := range []struct {
		name   string
		value  *float64
		lo, hi float64
	}{
		{"temperature", raw.Temperature, 0, 1000}, {"top_p", raw.TopP, 0, 1}, {"min_p", raw.MinP, 0, 1},
		{"repetition_penalty", raw.RepetitionPenalty, 0, 1000},
	} {
		if f.value != nil && !(*f.value >= f.lo && *f.value <= f.hi) {
			return fmt.Errorf("%s is %g, must be %g to %g", f.name, *f.value, f.lo, f.hi)
		}
	}
	return nil
}

// Defaults is the sampling that the authors recommend: what is stated, over
// llm.DefaultSampling. do_sample: false without a temperature is greedy.
func (g *Generation) Defaults() llm.SamplingParams {
	p := llm.DefaultSampling()
	if g.DoSample != nil && !*g.DoSample {
		p.Temperature = 0
	}
	set(&p.Temperature, g.Temperature)
	set(&p.TopK, g.TopK)
	set(&p.TopP, g.TopP)
	set(&p.MinP, g.MinP)
	set(&p.RepetitionPenalty, g.RepetitionPenalty)
	if p.RepetitionPenalty == 0 {
		p.RepetitionPenalty = 1
	}
	return p
}

func set[T any](to *T, value *T) {
	if value != nil {
		*to = *value
	}
}
