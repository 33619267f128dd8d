//go:build cuda && cgo && linux

package gpucheck

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

// shape is a model's configuration, without its weights. The numbers are those
// of the published config.json; peer.py has the same.
type shape struct {
	Name   string
	Config map[string]any
}

var shapes = []shape{
	{"Qwen3-0.6B", qwen3(28, 1024, 3072, 16, true)},
	{"Qwen3-8B", qwen3(36, 4096, 12288, 32, false)},
	{"gpt-oss-20b", gptOSS(24, 2880, 64, 8, 64, 32, 4, 201088, 128)},
}

// tinyShapes are for an emulated device.
var tinyShapes = []shape{
	{"tiny qwen3", tiny(qwen3(2, 64, 96, 2, true), map[string]any{"num_key_value_heads": 1, "head_dim": 32, "vocab_size": 160})},
	{"tiny gpt-oss", gptOSS(2, 64, 2, 1, 32, 4, 2, 160, 32)},
}

func tiny(c, changes map[string]any) map[string]any {
	for k, v := range changes {
		c[k] = v
	}
	return c
}

func qwen3(layers, hidden, intermediate, heads int, tied bool) map[string]any {
	return map[string]any{
		"architectures": []string{"Qwen3ForCausalLM"}, "model_type": "qwen3",
		"num_hidden_layers": layers, "hidden_size": hidden, "intermediate_size": intermediate,
		"num_attention_heads": heads, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
		"max_position_embeddings": 40960, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "tie_word_embeddings": tied, "attention_bias": false,
	}
}

func gptOSS(layers, hidden, heads, kvHeads, headDim, experts, chosen, vocab, window int) map[string]any {
	return map[string]any{
		"architectures": []string{"GptOssForCausalLM"}, "model_type": "gpt_oss",
		"num_hidden_layers": layers, "hidden_size": hidden, "intermediate_size": hidden,
		"num_attention_heads": heads, "num_key_value_heads": kvHeads, "head_dim": headDim, "vocab_size": vocab,
		"num_local_experts": experts, "num_experts_per_tok": chosen, "sliding_window": window, "attention_bias": true,
		"max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 150000, "tie_word_embeddings": false,
		"rope_scaling": map[string]any{
			"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": false,
			"original_max_position_embeddings": 4096,
		},
	}
}

// noise is random memory that all tensors of a format share. What weights are
// does not change how fast they are read, and 16 GB of random numbers take
// longer to make than to measure.
type noise struct {
	bf16, mxfp4 []byte
}

const noiseBytes = 64 << 20

func newNoise(most int) noise {
	rng := rand.New(rand.NewPCG(11, 13))
	period := min(noiseBytes, most)
	n := noise{make([]byte, period/2*2), make([]byte, period/17*17)}
	for i := 0; i+1 < len(n.bf16); i += 2 {
		bits := math.Float32bits(float32(rng.NormFloat64() * 0.02))
		n.bf16[i], n.bf16[i+1] = byte(bits>>16), byte(bits>>24)
	}
	for i := range n.mxfp4 {
		n.mxfp4[i] = byte(rng.Uint32())
		if i%17 == 0 {
			n.mxfp4[i] = 118 // a scale of 2^-9
		}
	}
	n.bf16, n.mxfp4 = slices.Repeat(n.bf16, (most+len(n.bf16)-1)/len(n.bf16)), n.mxfp4[:len(n.mxfp4):len(n.mxfp4)]
	return n
}

// tensor is a matrix or vector of noise.
func (n noise) tensor(name string, d weights.DType, shape ...int) weights.Tensor {
	t := weights.Tensor{Name: name, DType: d, Shape: shape}
	t.Data = n.bf16
	if d == weights.MXFP4 {
		t.Data = n.mxfp4
	}
	t.Data = t.Data[:t.Rows()*t.RowBytes()]
	return t
}

// ones are a norm's weights.
func ones(name string, width int) weights.Tensor {
	t := weights.Tensor{Name: name, DType: weights.BF16, Shape: []int{width}, Data: make([]byte, 2*width)}
	for i := range width {
		t.Data[2*i], t.Data[2*i+1] = 0x80, 0x3f
	}
	return t
}

// open is the shape as a model with random weights.
func (s shape) open() (*weights.Model, model.Config, error) {
	raw, err := json.Marshal(s.Config)
	if err != nil {
		return nil, model.Config{}, err
	}
	c, err := model.ParseConfig(raw)
	if err != nil {
		return nil, c, fmt.Errorf("%s: %w", s.Name, err)
	}
	n := newNoise(2 * max(c.Vocab*c.Hidden, c.Intermediate*c.Hidden, c.Heads*c.HeadDim*c.Hidden))
	list := []weights.Tensor{n.tensor("model.embed_tokens.weight", weights.BF16, c.Vocab, c.Hidden), ones("model.norm.weight", c.Hidden)}
	if !c.TiedEmbeddings {
		list = append(list, n.tensor("lm_head.weight", weights.BF16, c.Vocab, c.Hidden))
	}
	for i := range c.Layers {
		list = append(list, n.layer(&c, fmt.Sprintf("model.layers.%d.", i))...)
	}
	m, err := weights.Of(s.Name, raw, list)
	return m, c, err
}

func (n noise) layer(c *model.Config, prefix string) []weights.Tensor {
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	list := []weights.Tensor{ones(prefix+"input_layernorm.weight", c.Hidden), ones(prefix+"post_attention_layernorm.weight", c.Hidden)}
	matrix := func(name string, d weights.DType, out, in int, bias bool) {
		list = append(list, n.tensor(prefix+name+".weight", d, out, in))
		if bias {
			list = append(list, n.tensor(prefix+name+".bias", weights.BF16, out))
		}
	}
	matrix("self_attn.q_proj", weights.BF16, q, c.Hidden, c.QKVBias)
	matrix("self_attn.k_proj", weights.BF16, kv, c.Hidden, c.QKVBias)
	matrix("self_attn.v_proj", weights.BF16, kv, c.Hidden, c.QKVBias)
	matrix("self_attn.o_proj", weights.BF16, c.Hidden, q, c.OBias)
	if c.QKNorm {
		list = append(list, ones(prefix+"self_attn.q_norm.weight", c.HeadDim), ones(prefix+"self_attn.k_norm.weight", c.HeadDim))
	}
	if c.Sinks {
		list = append(list, n.tensor(prefix+"self_attn.sinks", weights.BF16, c.Heads))
	}
	mlp, format, bias, hidden := []string{"mlp."}, weights.BF16, c.MLPBias, c.Intermediate
	if c.MoE.Experts > 0 {
		matrix("mlp."+c.MoE.RouterName, weights.BF16, c.MoE.Experts, c.Hidden, c.MoE.RouterBias)
		mlp, format, bias, hidden = nil, weights.MXFP4, c.MoE.Bias, c.MoE.Intermediate
		for e := range c.MoE.Experts {
			mlp = append(mlp, fmt.Sprintf("mlp.experts.%d.", e))
		}
	}
	for _, p := range mlp {
		matrix(p+"gate_proj", format, hidden, c.Hidden, bias)
		matrix(p+"up_proj", format, hidden, c.Hidden, bias)
		matrix(p+"down_proj", format, c.Hidden, hidden, bias)
	}
	return list
}
