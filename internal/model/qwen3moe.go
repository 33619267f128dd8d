package model

import (
	"fmt"

	"github.com/reasond/reasond/internal/backend"
)

func init() {
	register(architecture{"Qwen3MoeForCausalLM", qwen3MoE, decoder})
}

// qwen3MoE is qwen3 with experts in most layers (transformers,
// models/qwen3_moe): the weights are a softmax over all experts, and sum to 1
// where norm_topk_prob says so. Layers in mlp_only_layers, and those that
// decoder_sparse_step skips, have a plain MLP.
func qwen3MoE(c *Config, raw *rawConfig) error {
	if err := qwen3(c, raw); err != nil {
		return err
	}
	m, err := raw.moe(c)
	if err != nil {
		return err
	}
	if err := dim("moe_intermediate_size", raw.MoeIntermediateSize, &m.Intermediate, maxDim); err != nil {
		return err
	}
	m.Router.Scoring, m.Router.Normalize = backend.SoftmaxThenTopK, is(raw.NormTopkProb, false)
	step := int64(1)
	if raw.DecoderSparseStep != nil {
		step = *raw.DecoderSparseStep
	}
	if step < 1 {
		return fmt.Errorf("decoder_sparse_step is %d, must be over 0", step)
	}
	for i := range m.Dense {
		m.Dense[i] = int64(i+1)%step != 0
	}
	for _, i := range raw.MLPOnlyLayers {
		if i < 0 || i >= int64(c.Layers) {
			return fmt.Errorf("mlp_only_layers: %d is not 0 to %d", i, c.Layers-1)
		}
		m.Dense[i] = true
	}
	c.MoE = m
	return nil
}
