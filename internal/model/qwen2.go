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
	if raw.LayerTypes != nil && len(raw.LayerTypes) != c.Layers {
		return fmt.Errorf("layer_types has %d entries, num_hidden_layers is %d", len(raw.LayerTypes), c.Layers)
	}
	from := int64(28) // transformers' default
	if raw.MaxWindowLayers != nil {
		from = *raw.MaxWindowLayers
	}
	for i := range c.Windows {
		sliding := int64(i) >= from
		if raw.LayerTypes != nil {
			switch raw.LayerTypes[i] {
			case "sliding_attention":
				sliding = true
			case "full_attention":
				sliding = false
			default:
				return fmt.Errorf("layer_types: %.40q is not supported", raw.LayerTypes[i])
			}
		}
		if sliding {
			c.Windows[i] = n
		}
	}
	return nil
}
