package model

import (
	"fmt"

	"github.com/reasond/reasond/internal/backend"
)

func init() {
	register(architecture{"GptOssForCausalLM", gptOSS, decoder})
}

// gptOSS: biases everywhere, sinks in attention, a sliding window in every
// second layer, experts in all of them with a clamped activation; the weights
// are a softmax over the chosen experts (gpt-oss model card, arXiv 2508.10925;
// transformers, models/gpt_oss).
func gptOSS(c *Config, raw *rawConfig) error {
	if raw.HeadDim == nil {
		c.HeadDim = 64
	}
	c.QKVBias = is(raw.AttentionBias, true)
	c.OBias, c.Sinks = c.QKVBias, true
	m, err := raw.moe(c)
	if err != nil {
		return err
	}
	m.Intermediate, m.SizeKey = c.Intermediate, "intermediate_size"
	m.RouterName, m.RouterBias, m.Bias = "router", true, true
	m.Router.Scoring = backend.TopKThenSoftmax
	m.Activation = backend.Activation{Kind: backend.ClampedSwiGLU, Alpha: 1.702, Limit: 7}
	for _, f := range []struct {
		name  string
		value *float64
		to    *float32
	}{{"swiglu_alpha", raw.SwigluAlpha, &m.Activation.Alpha}, {"swiglu_limit", raw.SwigluLimit, &m.Activation.Limit}} {
		if f.value == nil {
			continue
		}
		if !(*f.value > 0 && *f.value < 1e6) {
			return fmt.Errorf("%s is %g, must be over 0", f.name, *f.value)
		}
		*f.to = float32(*f.value)
	}
	c.MoE = m
	return gptOSSWindows(c, raw)
}

// gptOSSWindows sets the windows by layer_types; where there are none, every
// second layer slides, the first included.
func gptOSSWindows(c *Config, raw *rawConfig) error {
	n, err := raw.window()
	if err != nil {
		return err
	}
	sliding, err := raw.slidingLayers(c.Layers)
	if err != nil {
		return err
	}
	for i := range c.Windows {
		if sliding == nil && i%2 == 0 || sliding != nil && sliding[i] {
			c.Windows[i] = n
		}
	}
	return nil
}
