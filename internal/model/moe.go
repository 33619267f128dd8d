package model

import (
	"fmt"

	"github.com/reasond/reasond/internal/backend"
)

// MoE is what a mixture of experts is made of: of Experts MLPs the router
// chooses some for every token. Sizes are those before any sharding.
type MoE struct {
	Experts      int // 0: every layer has a plain MLP
	Intermediate int // of one expert
	Shared       int // intermediate size of the MLP that every token goes through, 0: none
	Dense        []bool
	// Router's Correction is set when the model is loaded, see Correction.
	Router backend.RouterSpec
	// RouterName is the router's tensor below "mlp.".
	RouterName string
	RouterBias bool
	Correction bool // a bias on the router's scores for the choice alone
	Bias       bool // biases of the experts' matrices
	Activation backend.Activation
	// SizeKey is the key of Intermediate in config.json, for messages.
	SizeKey string
}

// sparse reports whether a layer has experts. Dense marks those without.
func (m *MoE) sparse(layer int) bool { return m.Experts > 0 && !m.Dense[layer] }

// rawMoE is config.json's spelling of all architectures together.
type rawMoE struct {
	MoeIntermediateSize *int64   `json:"moe_intermediate_size"`
	NumExperts          *int64   `json:"num_experts"`
	NumLocalExperts     *int64   `json:"num_local_experts"`
	NRoutedExperts      *int64   `json:"n_routed_experts"`
	NSharedExperts      *int64   `json:"n_shared_experts"`
	NumExpertsPerTok    *int64   `json:"num_experts_per_tok"`
	NormTopkProb        *bool    `json:"norm_topk_prob"`
	DecoderSparseStep   *int64   `json:"decoder_sparse_step"`
	MLPOnlyLayers       []int64  `json:"mlp_only_layers"`
	FirstKDenseReplace  *int64   `json:"first_k_dense_replace"`
	MoeLayerFreq        *int64   `json:"moe_layer_freq"`
	NGroup              *int64   `json:"n_group"`
	TopkGroup           *int64   `json:"topk_group"`
	RoutedScalingFactor *float64 `json:"routed_scaling_factor"`
	ScoringFunc         *string  `json:"scoring_func"`
	TopkMethod          *string  `json:"topk_method"`
	SwigluAlpha         *float64 `json:"swiglu_alpha"`
	SwigluLimit         *float64 `json:"swiglu_limit"`
}

// maxExperts is far beyond any real model.
const maxExperts = 1 << 14

// moe reads what all mixtures state: how many experts, how many a token.
// Releases of transformers spell the first differently.
func (raw *rawMoE) moe(c *Config) (MoE, error) {
	m := MoE{Dense: make([]bool, c.Layers), RouterName: "gate", SizeKey: "moe_intermediate_size"}
	m.Router = backend.RouterSpec{Scale: 1, Correction: backend.NoVector}
	name, count := "num_experts", raw.NumExperts
	for _, other := range []struct {
		name  string
		count *int64
	}{{"num_local_experts", raw.NumLocalExperts}, {"n_routed_experts", raw.NRoutedExperts}} {
		if count == nil && other.count != nil {
			name, count = other.name, other.count
		}
	}
	if err := dim(name, count, &m.Experts, maxExperts); err != nil {
		return m, err
	}
	if err := dim("num_experts_per_tok", raw.NumExpertsPerTok, &m.Router.TopK, maxExperts); err != nil {
		return m, err
	}
	if m.Router.TopK > m.Experts {
		return m, fmt.Errorf("num_experts_per_tok is %d, there are %d experts", m.Router.TopK, m.Experts)
	}
	return m, nil
}

// checkSize refuses more weights than any machine holds, before a product of
// sizes overflows.
func (c *Config) checkSize() error {
	m := c.MoE
	if float64(m.Experts)*float64(m.Intermediate)*float64(c.Hidden)*float64(c.Layers) > 1<<58 {
		return fmt.Errorf("%s %d times hidden_size %d for %d experts in %d layers is too much", m.SizeKey, m.Intermediate, c.Hidden, m.Experts, c.Layers)
	}
	return nil
}

// experts is a mixture of experts, with an MLP for all tokens beside it where
// there is one. Each rank holds a part of every expert.
type experts struct {
	router       backend.Linear
	routing      backend.Routing
	gateUp, down backend.Stack
	moe          MoE

	hasShared bool
	shared    mlp
}

// newExperts loads the layer's mixture below prefix, such as
// "model.layers.0.mlp.".
func newExperts(l *loader, c *Config, prefix string) branch {
	m := c.MoE
	e := experts{
		router:  l.linear(prefix+m.RouterName, false, weight{name: prefix + m.RouterName, out: m.Experts, in: c.Hidden, bias: m.RouterBias}),
		routing: l.routing(m.Router.TopK),
		moe:     m,
	}
	var gateUp, down [][]weight
	for i := range m.Experts {
		p := fmt.Sprintf("%sexperts.%d.", prefix, i)
		gateUp = append(gateUp, gateUpWeights(c, p, m.Intermediate, m.Bias))
		down = append(down, downWeights(c, p, m.Intermediate, m.Bias))
	}
	e.gateUp = l.stack(prefix+"experts.gate_up_proj", true, gateUp)
	e.down = l.stack(prefix+"experts.down_proj", false, down)
	if m.Correction {
		e.moe.Router.Correction = l.vector(prefix+m.RouterName+".e_score_correction_bias", m.Experts)
	}
	if e.hasShared = m.Shared > 0; e.hasShared {
		e.shared = newMLP(l, c, prefix+"shared_experts.", m.Shared, false)
	}
	return e
}

func (e experts) record(p backend.Program, s stream, _ int) {
	p.Route(e.routing, s.normed, e.router, e.moe.Router)
	add := s.first
	if e.hasShared {
		p.GatedMLP(e.shared.between, s.normed, e.shared.gateUp)
		p.Linear(s.x, e.shared.between, e.shared.down, add)
		add = true
	}
	p.Experts(s.x, s.normed, e.routing, e.gateUp, e.down, e.moe.Activation, add)
	p.AllReduce(s.x)
}
