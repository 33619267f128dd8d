package model

import "fmt"

func init() {
	register(architecture{"Qwen2ForCausalLM", qwen2, decoder})
}

// qwen2: q, k and v always have biases, the output projection never.
func qwen2(c *Config, raw *rawConfig) error {
	c.QKVBias = true
	return qwenWindows(c, raw)
}

// qwenWindows sets the windows of qwen2 and qwen3: by layer_types where the
// configuration has them, else in the layers from max_window_layers on.
func qwenWindows(c *Config, raw *rawConfig) error {
	if !raw.UseSlidingWindow || raw.SlidingWindow == nil {
		return nil
	}
	n, err := raw.window()
	if err != nil {
		return err
	}
	types, err := raw.slidingLayers(c.Layers)
	if err != nil {
		return err
	}
	from := int64(28) // transformers' default
	if raw.MaxWindowLayers != nil {
		from = *raw.MaxWindowLayers
	}
	for i := range c.Windows {
		sliding := int64(i) >= from
		if types != nil {
			sliding = types[i]
		}
		if sliding {
			c.Windows[i] = n
		}
	}
	return nil
}

// slidingLayers reads layer_types: which layers have a sliding window; nil
// where the configuration does not say.
func (raw *rawConfig) slidingLayers(layers int) ([]bool, error) {
	if raw.LayerTypes == nil {
		return nil, nil
	}
	if len(raw.LayerTypes) != layers {
		return nil, fmt.Errorf("layer_types has %d entries, num_hidden_layers is %d", len(raw.LayerTypes), layers)
	}
	sliding := make([]bool, layers)
	for i, kind := range raw.LayerTypes {
		if kind != "sliding_attention" && kind != "full_attention" {
			return nil, fmt.Errorf("layer_types: %.40q is not supported", kind)
		}
		sliding[i] = kind == "sliding_attention"
	}
	return sliding, nil
}
