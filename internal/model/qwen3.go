package model

func init() {
	register(architecture{"Qwen3ForCausalLM", qwen3, decoder})
}

// qwen3: q and k are normalised per head; head_dim stands apart and is 128
// where it is not stated; biases by configuration, none by default.
func qwen3(c *Config, raw *rawConfig) error {
	if raw.HeadDim == nil {
		c.HeadDim = 128
	}
	c.QKNorm = true
	c.QKVBias = is(raw.AttentionBias, false)
	c.OBias = c.QKVBias
	return qwenWindows(c, raw)
}
