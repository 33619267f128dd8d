package weights

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"

	"github.com/reasond/reasond/internal/weights/gguf"
)

// hfConfig is the config.json that is made of a GGUF file's metadata. Float32
// keeps the numbers as short as they were in the original config.
type hfConfig struct {
	Architectures         []string     `json:"architectures"`
	ModelType             string       `json:"model_type"`
	HiddenSize            int64        `json:"hidden_size"`
	NumHiddenLayers       int64        `json:"num_hidden_layers"`
	NumAttentionHeads     int64        `json:"num_attention_heads"`
	NumKeyValueHeads      int64        `json:"num_key_value_heads"`
	HeadDim               int64        `json:"head_dim"`
	IntermediateSize      int64        `json:"intermediate_size"`
	VocabSize             int64        `json:"vocab_size"`
	MaxPositionEmbeddings int64        `json:"max_position_embeddings"`
	HiddenAct             string       `json:"hidden_act"`
	RMSNormEps            float32      `json:"rms_norm_eps"`
	RoPETheta             float32      `json:"rope_theta"`
	RoPEScaling           *ropeScaling `json:"rope_scaling"`
	TieWordEmbeddings     bool         `json:"tie_word_embeddings"`
	AttentionBias         bool         `json:"attention_bias"`
	MLPBias               bool         `json:"mlp_bias"`
	UseSlidingWindow      bool         `json:"use_sliding_window"`
	SlidingWindow         *int64       `json:"sliding_window"`
	BOSTokenID            *int64       `json:"bos_token_id"`
	EOSTokenID            []int64      `json:"eos_token_id"`

	*hfMoE
}

// architectures names the Hugging Face class of a GGUF architecture. Another
// one is passed on under its GGUF name: the model registry then says that it
// is not supported.
var architectures = map[string]string{
	"llama": "LlamaForCausalLM",
	"qwen2": "Qwen2ForCausalLM",
	"qwen3": "Qwen3ForCausalLM",

	"qwen3moe": "Qwen3MoeForCausalLM",
	"gpt-oss":  "GptOssForCausalLM",
}

// archPattern keeps the architecture, which prefixes keys in messages, to
// what llama.cpp uses.
var archPattern = regexp.MustCompile(`^[a-z0-9_.-]{1,64}$`)

// ggufConfig is config.json with Hugging Face's keys: see hfConfig. The
// dimensions must be there; what Hugging Face has a default for may be absent.
func ggufConfig(f *gguf.File) (json.RawMessage, error) {
	arch, ok := f.String("general.architecture")
	if !ok || !archPattern.MatchString(arch) {
		return nil, fmt.Errorf("gguf: general.architecture is missing or not a plain name")
	}
	if n, _ := f.Int("split.count"); n > 1 {
		return nil, fmt.Errorf("gguf: one of %d parts; files split in parts are not supported, merge them first", n)
	}
	class, ok := architectures[arch]
	if !ok {
		class = arch
	}
	c := hfConfig{Architectures: []string{class}, ModelType: arch, HiddenAct: "silu"}
	for _, field := range []struct {
		key string
		to  *int64
	}{
		{"embedding_length", &c.HiddenSize},
		{"block_count", &c.NumHiddenLayers},
		{"feed_forward_length", &c.IntermediateSize},
		{"context_length", &c.MaxPositionEmbeddings},
	} {
		var err error
		if *field.to, err = ggufDim(f, arch+"."+field.key); err != nil {
			return nil, err
		}
	}
	if err := c.attention(f, arch); err != nil {
		return nil, err
	}
	if err := c.tensors(f); err != nil {
		return nil, err
	}
	if err := c.rope(f, arch); err != nil {
		return nil, err
	}
	if err := c.moe(f, arch); err != nil {
		return nil, err
	}
	c.tokens(f)
	return json.Marshal(c)
}

func (c *hfConfig) attention(f *gguf.File, arch string) error {
	heads, kvHeads, err := ggufHeads(f, arch)
	if err != nil {
		return err
	}
	c.NumAttentionHeads, c.NumKeyValueHeads = int64(heads), int64(kvHeads)
	c.HeadDim = c.HiddenSize / c.NumAttentionHeads
	if _, ok := f.Get(arch + ".attention.key_length"); ok {
		if c.HeadDim, err = ggufDim(f, arch+".attention.key_length"); err != nil {
			return err
		}
	}
	if v, ok := f.Int(arch + ".attention.value_length"); ok && v != c.HeadDim {
		return fmt.Errorf("gguf: attention.value_length %d differs from the keys' %d, which is not supported", v, c.HeadDim)
	}
	if n, ok := f.Int(arch + ".rope.dimension_count"); ok && n != c.HeadDim {
		return fmt.Errorf("gguf: rope.dimension_count %d differs from head_dim %d, which is not supported", n, c.HeadDim)
	}
	eps, ok := f.Float(arch + ".attention.layer_norm_rms_epsilon")
	if !ok || !(eps > 0 && eps < 1) {
		return fmt.Errorf("gguf: attention.layer_norm_rms_epsilon is missing or not between 0 and 1")
	}
	c.RMSNormEps = float32(eps)
	if n, ok := f.Int(arch + ".attention.sliding_window"); ok && n > 0 {
		c.SlidingWindow, c.UseSlidingWindow = &n, true
	}
	return nil
}

// tensors takes from the tensor table what the metadata does not say.
func (c *hfConfig) tensors(f *gguf.File) error {
	embed, ok := f.Tensor("token_embd.weight")
	if !ok || len(embed.Shape) != 2 {
		return fmt.Errorf("gguf: tensor %q is missing or not a matrix", "token_embd.weight")
	}
	c.VocabSize = int64(embed.Shape[0])
	_, untied := f.Tensor("output.weight")
	c.TieWordEmbeddings = !untied
	_, c.AttentionBias = f.Tensor("blk.0.attn_q.bias")
	_, c.MLPBias = f.Tensor("blk.0.ffn_gate.bias")
	return nil
}

// tokens sets the ids that begin and end a text: every end token there is.
func (c *hfConfig) tokens(f *gguf.File) {
	id := func(key string) *int64 {
		n, ok := f.Int("tokenizer.ggml." + key)
		if !ok || n < 0 || n >= c.VocabSize {
			return nil
		}
		return &n
	}
	c.BOSTokenID = id("bos_token_id")
	c.EOSTokenID = []int64{}
	for _, key := range []string{"eos_token_id", "eot_token_id", "eom_token_id"} {
		n := id(key)
		if n == nil {
			continue
		}
		known := false
		for _, have := range c.EOSTokenID {
			known = known || have == *n
		}
		if !known {
			c.EOSTokenID = append(c.EOSTokenID, *n)
		}
	}
}

// ggufDim is a dimension: an integer from 1 to 2^31-1.
func ggufDim(f *gguf.File, key string) (int64, error) {
	n, ok := f.Int(key)
	if !ok {
		return 0, fmt.Errorf("gguf: %s is missing or not an integer", key)
	}
	if n < 1 || n > math.MaxInt32 {
		return 0, fmt.Errorf("gguf: %s is %d, not 1 to %d", key, n, math.MaxInt32)
	}
	return n, nil
}

// ggufHeads is the numbers of query and of key-value heads. A file may state
// the latter per layer; only one number for all is supported.
func ggufHeads(f *gguf.File, arch string) (heads, kvHeads int, err error) {
	n, err := ggufDim(f, arch+".attention.head_count")
	if err != nil {
		return 0, 0, err
	}
	key := arch + ".attention.head_count_kv"
	kv := n
	if list, ok := f.Ints(key); ok && len(list) > 0 {
		kv = list[0]
		for _, other := range list {
			if other != kv {
				return 0, 0, fmt.Errorf("gguf: %s differs between layers, which is not supported", key)
			}
		}
	} else if _, ok := f.Get(key); ok {
		if kv, err = ggufDim(f, key); err != nil {
			return 0, 0, err
		}
	}
	if kv < 1 || kv > n || n%kv != 0 {
		return 0, 0, fmt.Errorf("gguf: %d key-value heads do not divide %d heads", kv, n)
	}
	return int(n), int(kv), nil
}

// ggufGeneration is generation_config.json from the sampling metadata that
// newer files carry, nil where there is none.
func ggufGeneration(f *gguf.File) (json.RawMessage, error) {
	out := map[string]any{}
	for key, name := range map[string]string{"temp": "temperature", "top_p": "top_p", "min_p": "min_p", "penalty_repeat": "repetition_penalty"} {
		if v, ok := f.Float("general.sampling." + key); ok {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("gguf: general.sampling.%s is not a number", key)
			}
			out[name] = float32(v)
		}
	}
	if v, ok := f.Int("general.sampling.top_k"); ok {
		out["top_k"] = v
	}
	if len(out) == 0 {
		return nil, nil
	}
	return json.Marshal(out)
}
