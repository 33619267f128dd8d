package model

func init() {
	register(architecture{"LlamaForCausalLM", llama, decoder})
	register(architecture{"MistralForCausalLM", mistral, decoder})
}

// llama: biases by configuration, none by default; every layer sees all.
func llama(c *Config, raw *rawConfig) error {
	bias := is(raw.AttentionBias, false)
	c.QKVBias, c.OBias, c.MLPBias = bias, bias, raw.MLPBias
	return nil
}

// mistral is llama without biases, with a sliding window in every layer where
// the configuration states one.
func mistral(c *Config, raw *rawConfig) error {
	if raw.SlidingWindow == nil {
		return nil
	}
	n, err := raw.window()
	for i := range c.Windows {
		c.Windows[i] = n
	}
	return err
}
