package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/reasond/reasond/internal/weights"
)

// Config is what a decoder is made of: config.json, read and checked. Heads and
// sizes are those of the whole model, before any sharding.
type Config struct {
	Architecture string

	Layers, Hidden, Intermediate int
	Heads, KVHeads, HeadDim      int
	Vocab                        int
	Positions                    int // max_position_embeddings
	NormEps                      float32
	RoPE                         RoPE

	TiedEmbeddings bool
	QKVBias, OBias bool // biases of attention's projections
	MLPBias        bool
	QKNorm         bool  // per-head RMSNorm of q and k
	Sinks          bool  // a logit a head that joins the softmax's divisor
	Windows        []int // per layer: a query sees this many last positions, 0: all

	MoE    MoE    // mixture of experts; Experts 0: none
	Latent Latent // multi-head latent attention; Rank 0: grouped-query attention
}

// rawConfig is config.json's own spelling. Pointers tell absent from zero.
type rawConfig struct {
	Architectures         []string `json:"architectures"`
	HiddenSize            *int64   `json:"hidden_size"`
	NumHiddenLayers       *int64   `json:"num_hidden_layers"`
	NumAttentionHeads     *int64   `json:"num_attention_heads"`
	NumKeyValueHeads      *int64   `json:"num_key_value_heads"`
	HeadDim               *int64   `json:"head_dim"`
	IntermediateSize      *int64   `json:"intermediate_size"`
	VocabSize             *int64   `json:"vocab_size"`
	MaxPositionEmbeddings *int64   `json:"max_position_embeddings"`
	RMSNormEps            *float64 `json:"rms_norm_eps"`
	HiddenAct             *string  `json:"hidden_act"`
	TieWordEmbeddings     bool     `json:"tie_word_embeddings"`
	AttentionBias         *bool    `json:"attention_bias"`
	MLPBias               bool     `json:"mlp_bias"`
	UseSlidingWindow      bool     `json:"use_sliding_window"`
	SlidingWindow         *int64   `json:"sliding_window"`
	MaxWindowLayers       *int64   `json:"max_window_layers"`
	LayerTypes            []string `json:"layer_types"`
	PretrainingTP         *int64   `json:"pretraining_tp"`

	rawRoPE
	rawMoE
	rawLatent
}

// Limits of what a config may say: far beyond any real model, and small enough
// that no product of two of them overflows.
const (
	maxDim    = 1 << 20
	maxLayers = 1 << 12
	maxVocab  = 1 << 24
)

// ParseConfig reads a config.json. An error is one line that names the field.
func ParseConfig(data json.RawMessage) (Config, error) {
	var raw rawConfig
	if err := json.Unmarshal(data, &raw); err != nil {
		return Config{}, fmt.Errorf("config.json: %w", fieldError(err))
	}
	c, err := raw.config()
	if err == nil {
		_, err = weights.ParseQuantisation(data)
	}
	if err != nil {
		return Config{}, fmt.Errorf("config.json: %w", err)
	}
	return c, nil
}

func (raw *rawConfig) config() (Config, error) {
	arch, err := lookup(raw.Architectures)
	if err != nil {
		return Config{}, err
	}
	if raw.HiddenAct != nil && *raw.HiddenAct != "silu" && *raw.HiddenAct != "swish" {
		return Config{}, fmt.Errorf("hidden_act %.40q is not supported, only silu is", *raw.HiddenAct)
	}
	c := Config{Architecture: arch.name, TiedEmbeddings: raw.TieWordEmbeddings}
	for _, f := range []struct {
		name  string
		value *int64
		to    *int
		max   int64
	}{
		{"hidden_size", raw.HiddenSize, &c.Hidden, maxDim},
		{"num_hidden_layers", raw.NumHiddenLayers, &c.Layers, maxLayers},
		{"num_attention_heads", raw.NumAttentionHeads, &c.Heads, maxDim},
		{"intermediate_size", raw.IntermediateSize, &c.Intermediate, maxDim},
		{"vocab_size", raw.VocabSize, &c.Vocab, maxVocab},
		{"max_position_embeddings", raw.MaxPositionEmbeddings, &c.Positions, maxVocab},
	} {
		if err := dim(f.name, f.value, f.to, f.max); err != nil {
			return Config{}, err
		}
	}
	if err := raw.heads(&c); err != nil {
		return Config{}, err
	}
	eps := 1e-6
	if raw.RMSNormEps != nil {
		eps = *raw.RMSNormEps
	}
	if !(eps > 0 && eps < 1) {
		return Config{}, fmt.Errorf("rms_norm_eps is %g, must be between 0 and 1", eps)
	}
	c.NormEps = float32(eps)
	if c.RoPE, err = raw.rope(&c); err != nil {
		return Config{}, err
	}
	c.Windows = make([]int, c.Layers)
	if err := arch.configure(&c, raw); err != nil {
		return Config{}, err
	}
	return c, c.checkSize()
}

// heads fills in the numbers of heads and their size. Only where head_dim is
// absent must the heads divide the hidden size.
func (raw *rawConfig) heads(c *Config) error {
	c.KVHeads = c.Heads
	if raw.NumKeyValueHeads != nil {
		if err := dim("num_key_value_heads", raw.NumKeyValueHeads, &c.KVHeads, maxDim); err != nil {
			return err
		}
	}
	if c.Heads%c.KVHeads != 0 {
		return fmt.Errorf("num_attention_heads %d is not a multiple of num_key_value_heads %d", c.Heads, c.KVHeads)
	}
	if raw.HeadDim != nil {
		if err := dim("head_dim", raw.HeadDim, &c.HeadDim, maxDim); err != nil {
			return err
		}
	} else {
		if c.Hidden%c.Heads != 0 {
			return fmt.Errorf("hidden_size %d is not a multiple of num_attention_heads %d, and there is no head_dim", c.Hidden, c.Heads)
		}
		c.HeadDim = c.Hidden / c.Heads
	}
	if c.HeadDim%2 != 0 {
		return fmt.Errorf("head_dim is %d, must be even", c.HeadDim)
	}
	if int64(c.Heads)*int64(c.HeadDim) > maxDim {
		return fmt.Errorf("num_attention_heads %d times head_dim %d is over %d", c.Heads, c.HeadDim, maxDim)
	}
	return nil
}

// is is a switch of the configuration, with the value that absence has.
func is(value *bool, absent bool) bool {
	if value == nil {
		return absent
	}
	return *value
}

// window is a sliding window that is in use, checked.
func (raw *rawConfig) window() (int, error) {
	var n int
	err := dim("sliding_window", raw.SlidingWindow, &n, math.MaxInt32)
	return n, err
}

func dim(name string, value *int64, to *int, most int64) error {
	if value == nil {
		return fmt.Errorf("%s is missing", name)
	}
	if *value < 1 || *value > most {
		return fmt.Errorf("%s is %d, must be 1 to %d", name, *value, most)
	}
	*to = int(*value)
	return nil
}

// fieldError puts a wrong type in a user's words.
func fieldError(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%s is a %s, must be of type %s", wrong.Field, wrong.Value, wrong.Type)
	}
	return err
}

// MaxContext is the longest sequence that the model is made for: the positions
// it was trained on, stretched by RoPE scaling where the configuration states
// the length before stretching (as vLLM derives it).
func (c *Config) MaxContext() int {
	n := float64(c.Positions)
	switch c.RoPE.Type {
	case ropeLinear:
		n *= c.RoPE.Factor
	case ropeYaRN:
		n = max(n, float64(c.RoPE.Original)*c.RoPE.Factor)
	}
	return int(min(n, maxVocab))
}
