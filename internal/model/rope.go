package model

import (
	"fmt"
	"math"

	"github.com/reasond/reasond/internal/backend"
)

// Kinds of RoPE scaling, as Hugging Face names them.
const (
	ropeDefault = "default"
	ropeLinear  = "linear"
	ropeLlama3  = "llama3"
	ropeYaRN    = "yarn"
)

// RoPE is the rotary embedding's base and scaling. Fields that a type does not
// use are zero.
type RoPE struct {
	Type     string
	Theta    float64
	Factor   float64
	Original int // positions before scaling: llama3, yarn

	LowFreq, HighFreq  float64 // llama3
	BetaFast, BetaSlow float64 // yarn
	NoTruncate         bool    // yarn: the correction range is not rounded to whole pairs
	Attention          float64 // yarn: what cos and sin are multiplied by
	MScaleAllDim       float64 // yarn: see attentionScale; 0: not stated
}

// rawRoPE is config.json's spelling: rope_theta and rope_scaling, or both in
// rope_parameters (transformers 5).
type rawRoPE struct {
	RopeTheta            *float64    `json:"rope_theta"`
	RopeScaling          *rawScaling `json:"rope_scaling"`
	RopeParameters       *rawScaling `json:"rope_parameters"`
	PartialRotaryFactor  *float64    `json:"partial_rotary_factor"`
	OriginalMaxPositions *int64      `json:"original_max_position_embeddings"`
}

type rawScaling struct {
	RopeType            *string  `json:"rope_type"`
	Type                *string  `json:"type"` // before rope_type
	RopeTheta           *float64 `json:"rope_theta"`
	PartialRotaryFactor *float64 `json:"partial_rotary_factor"`
	Factor              *float64 `json:"factor"`
	Original            *int64   `json:"original_max_position_embeddings"`
	LowFreq             *float64 `json:"low_freq_factor"`
	HighFreq            *float64 `json:"high_freq_factor"`
	BetaFast            *float64 `json:"beta_fast"`
	BetaSlow            *float64 `json:"beta_slow"`
	AttentionFactor     *float64 `json:"attention_factor"`
	MScale              *float64 `json:"mscale"`
	MScaleAllDim        *float64 `json:"mscale_all_dim"`
	Truncate            *bool    `json:"truncate"`
}

func (raw *rawRoPE) rope(c *Config) (RoPE, error) {
	s := raw.RopeParameters
	if s == nil {
		s = raw.RopeScaling
	}
	if s == nil {
		s = &rawScaling{}
	}
	r := RoPE{Type: ropeDefault, Theta: 10000}
	for _, kind := range []*string{s.Type, s.RopeType} {
		if kind != nil {
			r.Type = *kind
		}
	}
	for _, theta := range []*float64{raw.RopeTheta, s.RopeTheta} {
		if theta != nil {
			r.Theta = *theta
		}
	}
	if !(r.Theta > 1 && r.Theta < 1e18) {
		return r, fmt.Errorf("rope_theta is %g, must be over 1", r.Theta)
	}
	for _, partial := range []*float64{raw.PartialRotaryFactor, s.PartialRotaryFactor} {
		if partial != nil && *partial != 1 {
			return r, fmt.Errorf("partial_rotary_factor %g is not supported", *partial)
		}
	}
	return r, r.scaling(s, c, raw.OriginalMaxPositions)
}

// scaling reads the fields of r's type.
func (r *RoPE) scaling(s *rawScaling, c *Config, original *int64) error {
	if r.Type == ropeDefault {
		return nil
	}
	if r.Type != ropeLinear && r.Type != ropeLlama3 && r.Type != ropeYaRN {
		return fmt.Errorf("rope_scaling: type %.40q is not supported; default, linear, llama3 and yarn are", r.Type)
	}
	r.Original = c.Positions
	for _, n := range []*int64{s.Original, original} {
		if n == nil {
			continue
		}
		if err := dim("original_max_position_embeddings", n, &r.Original, maxVocab); err != nil {
			return err
		}
	}
	if r.Type == ropeYaRN && s.Factor == nil {
		derived := float64(c.Positions) / float64(r.Original)
		s.Factor = &derived
	}
	if err := number("factor", s.Factor, 0, &r.Factor); err != nil {
		return err
	}
	if r.Factor < 1 {
		return fmt.Errorf("rope_scaling: factor is %g, must be 1 or more", r.Factor)
	}
	switch r.Type {
	case ropeLlama3:
		return r.llama3(s)
	case ropeYaRN:
		return r.yarn(s)
	}
	return nil
}

func (r *RoPE) llama3(s *rawScaling) error {
	if err := number("low_freq_factor", s.LowFreq, 0, &r.LowFreq); err != nil {
		return err
	}
	if err := number("high_freq_factor", s.HighFreq, 0, &r.HighFreq); err != nil {
		return err
	}
	if r.HighFreq <= r.LowFreq {
		return fmt.Errorf("rope_scaling: high_freq_factor %g is not over low_freq_factor %g", r.HighFreq, r.LowFreq)
	}
	return nil
}

func (r *RoPE) yarn(s *rawScaling) error {
	r.NoTruncate = s.Truncate != nil && !*s.Truncate
	for _, err := range []error{
		number("beta_fast", s.BetaFast, 32, &r.BetaFast),
		number("beta_slow", s.BetaSlow, 1, &r.BetaSlow),
	} {
		if err != nil {
			return err
		}
	}
	mscale := func(m float64) float64 { return 0.1*m*math.Log(max(r.Factor, 1)) + 1 }
	set := func(p *float64) bool { return p != nil && *p != 0 }
	if set(s.MScaleAllDim) {
		r.MScaleAllDim = *s.MScaleAllDim
	}
	attention := mscale(1)
	if set(s.MScale) && set(s.MScaleAllDim) {
		attention = mscale(*s.MScale) / mscale(*s.MScaleAllDim)
	}
	return number("attention_factor", s.AttentionFactor, attention, &r.Attention)
}

// attentionScale is what DeepSeek multiplies the scale of q·k by beside what
// YaRN does to cos and sin: the square of mscale_all_dim's share (DeepSeek-V3,
// modeling_deepseek.py, softmax_scale).
func (r *RoPE) attentionScale() float64 {
	if r.MScaleAllDim == 0 {
		return 1
	}
	m := 0.1*r.MScaleAllDim*math.Log(r.Factor) + 1
	return m * m
}

// number reads a finite positive number; fallback stands in for an absent or
// zero one unless it is 0.
func number(name string, value *float64, fallback float64, to *float64) error {
	*to = fallback
	if value != nil && (*value != 0 || fallback == 0) {
		*to = *value
	} else if fallback == 0 {
		return fmt.Errorf("rope_scaling: %s is missing", name)
	}
	if !(*to > 0 && *to < 1e9) {
		return fmt.Errorf("rope_scaling: %s is %g, must be over 0", name, *to)
	}
	return nil
}

// Spec is the rotary table for heads of size dim.
func (r *RoPE) Spec(dim int) backend.RopeSpec {
	s := backend.RopeSpec{Inv: make([]float64, dim/2), Scale: 1}
	for i := range s.Inv {
		s.Inv[i] = math.Pow(r.Theta, -float64(2*i)/float64(dim))
	}
	switch r.Type {
	case ropeLinear:
		for i := range s.Inv {
			s.Inv[i] /= r.Factor
		}
	case ropeLlama3:
		r.scaleLlama3(s.Inv)
	case ropeYaRN:
		r.scaleYaRN(s.Inv, dim)
		s.Scale = r.Attention
	}
	return s
}

// scaleLlama3 divides low frequencies by the factor, leaves high ones, and
// passes smoothly from one to the other (Llama 3.1's model code).
func (r *RoPE) scaleLlama3(inv []float64) {
	for i, f := range inv {
		turns := float64(r.Original) * f / (2 * math.Pi) // within the original context
		smooth := (turns - r.LowFreq) / (r.HighFreq - r.LowFreq)
		smooth = min(max(smooth, 0), 1)
		inv[i] = f * ((1-smooth)/r.Factor + smooth)
	}
}

// scaleYaRN interpolates pairs that turn less than BetaSlow times within the
// original context, leaves those that turn more than BetaFast times, with a
// ramp over the pairs between (arXiv 2309.00071, as transformers computes it).
func (r *RoPE) scaleYaRN(inv []float64, dim int) {
	pair := func(turns float64) float64 {
		return float64(dim) * math.Log(float64(r.Original)/(turns*2*math.Pi)) / (2 * math.Log(r.Theta))
	}
	low, high := pair(r.BetaFast), pair(r.BetaSlow)
	if !r.NoTruncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(dim-1))
	if low == high {
		high += 0.001
	}
	for i, f := range inv {
		ramp := min(max((float64(i)-low)/(high-low), 0), 1)
		inv[i] = f * (ramp/r.Factor + 1 - ramp)
	}
}
