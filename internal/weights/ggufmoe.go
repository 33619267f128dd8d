package weights

import (
	"fmt"

	"github.com/reasond/reasond/internal/weights/gguf"
)

// hfMoE is what config.json says of a mixture of experts.
type hfMoE struct {
	NumExperts       int64   `json:"num_local_experts"`
	NumExpertsPerTok int64   `json:"num_experts_per_tok"`
	Intermediate     int64   `json:"moe_intermediate_size"`
	NormTopkProb     bool    `json:"norm_topk_prob"`
	MLPOnlyLayers    []int64 `json:"mlp_only_layers"`
}

// moe reads the experts of the architectures that have them. What llama.cpp
// has in its code and no key states is that of the only models there are:
// Qwen3-MoE's weights sum to 1, gpt-oss's YaRN does not round its range.
func (c *hfConfig) moe(f *gguf.File, arch string) error {
	if arch != "qwen3moe" && arch != "gpt-oss" {
		return nil
	}
	m := &hfMoE{NormTopkProb: true, MLPOnlyLayers: []int64{}}
	for _, field := range []struct {
		key string
		to  *int64
	}{
		{"expert_count", &m.NumExperts}, {"expert_used_count", &m.NumExpertsPerTok}, {"expert_feed_forward_length", &m.Intermediate},
	} {
		var err error
		if *field.to, err = ggufDim(f, arch+"."+field.key); err != nil {
			return err
		}
	}
	for layer := range c.NumHiddenLayers {
		if _, ok := f.Tensor(fmt.Sprintf("blk.%d.ffn_gate_inp.weight", layer)); !ok {
			m.MLPOnlyLayers = append(m.MLPOnlyLayers, layer)
		}
		if int(layer) > len(f.Tensors) {
			return fmt.Errorf("gguf: %s.block_count is %d, there are %d tensors", arch, c.NumHiddenLayers, len(f.Tensors))
		}
	}
	c.hfMoE = m
	if arch == "gpt-oss" {
		c.IntermediateSize = m.Intermediate
		if c.RoPEScaling != nil {
			truncate := false
			c.RoPEScaling.Truncate = &truncate
		}
	}
	return nil
}
