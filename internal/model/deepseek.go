package model

import (
	"fmt"

	"github.com/reasond/reasond/internal/backend"
)

func init() {
	register(architecture{"DeepseekV3ForCausalLM", deepseekV3, decoder})
}

// deepseekV3: latent attention, plain MLPs in the first layers, then experts
// chosen by sigmoid scores plus a correction, from the best groups, beside
// shared ones (DeepSeek-V3, arXiv 2412.19437; transformers,
// models/deepseek_v3). The layers for multi-token prediction that published
// files have behind the last one are not run.
func deepseekV3(c *Config, raw *rawConfig) error {
	var err error
	if c.Latent, err = raw.latent(c.Heads); err != nil {
		return err
	}
	c.HeadDim = c.Latent.NopeDim + c.Latent.RopeDim
	c.QKVBias = is(raw.AttentionBias, false)
	c.OBias = c.QKVBias
	m, err := raw.moe(c)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name  string
		value *string
		want  string
	}{{"scoring_func", raw.ScoringFunc, "sigmoid"}, {"topk_method", raw.TopkMethod, "noaux_tc"}} {
		if f.value != nil && *f.value != f.want {
			return fmt.Errorf("%s %.40q is not supported, only %s is", f.name, *f.value, f.want)
		}
	}
	if err := dim("moe_intermediate_size", raw.MoeIntermediateSize, &m.Intermediate, maxDim); err != nil {
		return err
	}
	if err := m.shared(raw); err != nil {
		return err
	}
	if err := m.groups(raw); err != nil {
		return err
	}
	m.Router.Scoring, m.Router.Normalize, m.Correction = backend.SigmoidTopK, is(raw.NormTopkProb, true), true
	if raw.RoutedScalingFactor != nil {
		if !(*raw.RoutedScalingFactor > 0 && *raw.RoutedScalingFactor < 1e6) {
			return fmt.Errorf("routed_scaling_factor is %g, must be over 0", *raw.RoutedScalingFactor)
		}
		m.Router.Scale = float32(*raw.RoutedScalingFactor)
	}
	dense := int64(0)
	if raw.FirstKDenseReplace != nil {
		dense = *raw.FirstKDenseReplace
	}
	if dense < 0 || dense > int64(c.Layers) {
		return fmt.Errorf("first_k_dense_replace is %d, must be 0 to %d", dense, c.Layers)
	}
	for i := range m.Dense {
		m.Dense[i] = int64(i) < dense
	}
	if raw.MoeLayerFreq != nil && *raw.MoeLayerFreq != 1 {
		return fmt.Errorf("moe_layer_freq %d is not supported, only 1 is", *raw.MoeLayerFreq)
	}
	c.MoE = m
	return nil
}

// shared reads the experts that every token goes through: one MLP of their
// sizes together.
func (m *MoE) shared(raw *rawConfig) error {
	if raw.NSharedExperts == nil || *raw.NSharedExperts == 0 {
		return nil
	}
	var n int
	if err := dim("n_shared_experts", raw.NSharedExperts, &n, maxExperts); err != nil {
		return err
	}
	if int64(n)*int64(m.Intermediate) > maxDim {
		return fmt.Errorf("n_shared_experts %d times moe_intermediate_size %d is over %d", n, m.Intermediate, maxDim)
	}
	m.Shared = n * m.Intermediate
	return nil
}

// groups reads the groups that the choice of experts is limited to. One group
// is none.
func (m *MoE) groups(raw *rawConfig) error {
	if raw.NGroup == nil || *raw.NGroup == 1 {
		return nil
	}
	if err := dim("n_group", raw.NGroup, &m.Router.Groups, maxExperts); err != nil {
		return err
	}
	if err := dim("topk_group", raw.TopkGroup, &m.Router.TopGroups, *raw.NGroup); err != nil {
		return err
	}
	if m.Experts%m.Router.Groups != 0 {
		return fmt.Errorf("n_routed_experts %d does not divide into n_group %d", m.Experts, m.Router.Groups)
	}
	if most := m.Experts / m.Router.Groups * m.Router.TopGroups; m.Router.TopK > most {
		return fmt.Errorf("num_experts_per_tok is %d, topk_group %d leaves %d experts", m.Router.TopK, m.Router.TopGroups, most)
	}
	return nil
}
