package model

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
)

// edit is a valid llama config.json with some fields replaced; null removes one.
func edit(t *testing.T, changes string) json.RawMessage {
	t.Helper()
	fields := map[string]json.RawMessage{}
	for _, text := range []string{`{
		"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
		"num_key_value_heads": 2, "intermediate_size": 96, "vocab_size": 128, "max_position_embeddings": 256,
		"rms_norm_eps": 1e-5, "hidden_act": "silu", "rope_theta": 10000.0
	}`, "{" + changes + "}"} {
		if err := json.Unmarshal([]byte(text), &fields); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Law: every wrong field is an error of one line that names it.
func TestWrongFieldsAreNamed(t *testing.T) {
	for _, c := range []struct{ changes, want string }{
		{`"architectures": null`, "architectures is missing"},
		{`"architectures": ["GPT2LMHeadModel"]`, `architecture "GPT2LMHeadModel" is not supported; supported: ` + strings.Join(Architectures(), ", ")},
		{`"architectures": "LlamaForCausalLM"`, "architectures is a string"},
		{`"hidden_size": null`, "hidden_size is missing"},
		{`"hidden_size": "64"`, "hidden_size is a string"},
		{`"hidden_size": 64.5`, "hidden_size is a number 64.5"},
		{`"hidden_size": 0`, "hidden_size is 0"},
		{`"hidden_size": 9223372036854775807`, "hidden_size is 9223372036854775807"},
		{`"hidden_size": 66`, "hidden_size 66 is not a multiple of num_attention_heads 4"},
		{`"num_hidden_layers": -1`, "num_hidden_layers is -1"},
		{`"num_hidden_layers": 4097`, "num_hidden_layers is 4097"},
		{`"num_attention_heads": 0`, "num_attention_heads is 0"},
		{`"num_key_value_heads": 3`, "num_attention_heads 4 is not a multiple of num_key_value_heads 3"},
		{`"num_key_value_heads": 0`, "num_key_value_heads is 0"},
		{`"head_dim": 15`, "head_dim is 15, must be even"},
		{`"head_dim": 0`, "head_dim is 0"},
		{`"head_dim": 1048576`, "num_attention_heads 4 times head_dim 1048576"},
		{`"intermediate_size": null`, "intermediate_size is missing"},
		{`"vocab_size": 16777217`, "vocab_size is 16777217"},
		{`"max_position_embeddings": null`, "max_position_embeddings is missing"},
		{`"rms_norm_eps": 0`, "rms_norm_eps is 0"},
		{`"rms_norm_eps": 1`, "rms_norm_eps is 1"},
		{`"hidden_act": "gelu"`, `hidden_act "gelu"`},
		{`"quantization_config": {"quant_method": "bitsandbytes"}`, `quant_method "bitsandbytes"`},
		{`"architectures": ["Qwen3MoeForCausalLM"]`, "num_experts is missing"},
		{moe + `, "num_experts": 2`, "num_experts_per_tok is 3, there are 2"},
		{moe + `, "moe_intermediate_size": 0`, "moe_intermediate_size is 0"},
		{moe + `, "moe_intermediate_size": 1000000, "hidden_size": 1000000, "head_dim": 16, "num_experts": 16000, "num_hidden_layers": 4000`, "moe_intermediate_size 1000000 times"},
		{moe + `, "decoder_sparse_step": 0`, "decoder_sparse_step is 0"},
		{moe + `, "mlp_only_layers": [2]`, "mlp_only_layers: 2"},
		{oss + `, "sliding_window": null`, "sliding_window is missing"},
		{oss + `, "swiglu_limit": -1`, "swiglu_limit is -1"},
		{oss + `, "layer_types": ["mamba", "full_attention"]`, `layer_types: "mamba"`},
		{deepseek + `, "kv_lora_rank": null`, "kv_lora_rank is missing"},
		{deepseek + `, "qk_rope_head_dim": 15`, "qk_rope_head_dim is 15"},
		{deepseek + `, "v_head_dim": 1000000`, "v_head_dim 1000000 is over"},
		{deepseek + `, "q_lora_rank": -1`, "q_lora_rank is -1"},
		{deepseek + `, "scoring_func": "softmax"`, `scoring_func "softmax"`},
		{deepseek + `, "topk_method": "greedy"`, `topk_method "greedy"`},
		{deepseek + `, "n_group": 3`, "n_group 3"},
		{deepseek + `, "topk_group": 5`, "topk_group is 5"},
		{deepseek + `, "topk_group": 1`, "topk_group 1 leaves 2 experts"},
		{deepseek + `, "first_k_dense_replace": 3`, "first_k_dense_replace is 3"},
		{deepseek + `, "routed_scaling_factor": 0`, "routed_scaling_factor is 0"},
		{deepseek + `, "moe_layer_freq": 2`, "moe_layer_freq 2"},
		{deepseek + `, "n_shared_experts": 1000000`, "n_shared_experts is 1000000"},
		{`"rope_theta": 1`, "rope_theta is 1"},
		{`"rope_theta": -10000`, "rope_theta is -10000"},
		{`"partial_rotary_factor": 0.5`, "partial_rotary_factor 0.5"},
		{`"rope_scaling": {"type": "dynamic", "factor": 2}`, `type "dynamic" is not supported`},
		{`"rope_scaling": {"type": "linear"}`, "factor is missing"},
		{`"rope_scaling": {"type": "linear", "factor": 0.5}`, "factor is 0.5"},
		{`"rope_scaling": {"rope_type": "llama3", "factor": 8, "high_freq_factor": 4}`, "low_freq_factor is missing"},
		{`"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}`, "high_freq_factor 4 is not over"},
		{`"rope_scaling": {"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 0}`, "original_max_position_embeddings is 0"},
		{`"rope_scaling": {"rope_type": "yarn", "factor": 4, "beta_fast": -1}`, "beta_fast is -1"},
		{`"rope_parameters": {"rope_type": "linear", "factor": "2"}`, "factor is a string"},
		{`"architectures": ["MistralForCausalLM"], "sliding_window": 0`, "sliding_window is 0"},
		{`"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": true, "sliding_window": -4`, "sliding_window is -4"},
		{`"architectures": ["Qwen3ForCausalLM"], "use_sliding_window": true, "sliding_window": 4, "layer_types": ["full_attention"]`, "layer_types has 1 entries"},
		{`"architectures": ["Qwen3ForCausalLM"], "use_sliding_window": true, "sliding_window": 4, "layer_types": ["full_attention", "mamba"]`, `layer_types: "mamba"`},
	} {
		_, err := ParseConfig(edit(t, c.changes))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, must say %q", c.changes, err, c.want)
		}
	}
	if _, err := ParseConfig(json.RawMessage(`{"hidden_size": 1e400}`)); err == nil {
		t.Error("1e400 was taken")
	}
}

// Fields that make a mixture of experts of edit's llama.
const (
	moe      = `"architectures": ["Qwen3MoeForCausalLM"], "num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 32`
	oss      = `"architectures": ["GptOssForCausalLM"], "num_local_experts": 8, "num_experts_per_tok": 3, "sliding_window": 16`
	deepseek = `"architectures": ["DeepseekV3ForCausalLM"], "n_routed_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 32,
		"kv_lora_rank": 32, "qk_nope_head_dim": 24, "qk_rope_head_dim": 8, "v_head_dim": 16, "n_group": 4, "topk_group": 2`
)

func TestArchitecturesDiffer(t *testing.T) {
	for _, c := range []struct {
		changes string
		ok      func(Config) bool
	}{
		{``, func(c Config) bool { return !c.QKVBias && !c.OBias && !c.MLPBias && !c.QKNorm && c.HeadDim == 16 }},
		{`"attention_bias": true`, func(c Config) bool { return c.QKVBias && c.OBias && !c.MLPBias }},
		{`"mlp_bias": true`, func(c Config) bool { return !c.QKVBias && c.MLPBias }},
		{`"num_key_value_heads": null`, func(c Config) bool { return c.KVHeads == 4 }},
		{`"sliding_window": 9`, func(c Config) bool { return c.Windows[0] == 0 }},
		{`"architectures": ["MistralForCausalLM"], "sliding_window": 9`, func(c Config) bool { return c.Windows[0] == 9 && c.Windows[1] == 9 }},
		{`"architectures": ["MistralForCausalLM"], "sliding_window": null`, func(c Config) bool { return c.Windows[0] == 0 }},
		{`"architectures": ["Qwen2ForCausalLM"], "sliding_window": 9`, func(c Config) bool { return c.QKVBias && !c.OBias && !c.QKNorm && c.Windows[1] == 0 }},
		{`"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": true, "sliding_window": 9, "max_window_layers": 1`, func(c Config) bool { return c.Windows[0] == 0 && c.Windows[1] == 9 }},
		{`"architectures": ["Qwen3ForCausalLM"]`, func(c Config) bool { return c.QKNorm && !c.QKVBias && c.HeadDim == 128 }},
		{`"architectures": ["Qwen3ForCausalLM"], "use_sliding_window": true, "sliding_window": 9, "layer_types": ["sliding_attention", "full_attention"]`, func(c Config) bool { return c.Windows[0] == 9 && c.Windows[1] == 0 }},
		{moe, func(c Config) bool {
			return c.QKNorm && c.MoE.sparse(0) && c.MoE.sparse(1) && !c.MoE.Router.Normalize && c.MoE.Router.Scoring == backend.SoftmaxThenTopK
		}},
		{moe + `, "norm_topk_prob": true, "decoder_sparse_step": 2`, func(c Config) bool { return c.MoE.Router.Normalize && !c.MoE.sparse(0) && c.MoE.sparse(1) }},
		{moe + `, "mlp_only_layers": [1]`, func(c Config) bool { return c.MoE.sparse(0) && !c.MoE.sparse(1) }},
		{oss, func(c Config) bool {
			return c.QKVBias && c.OBias && c.Sinks && c.Windows[0] == 16 && c.Windows[1] == 0 && c.MoE.Intermediate == 96 && c.MoE.Activation.Limit == 7
		}},
		{oss + `, "layer_types": ["full_attention", "sliding_attention"], "swiglu_limit": 5, "attention_bias": false`, func(c Config) bool {
			return c.Windows[0] == 0 && c.Windows[1] == 16 && c.MoE.Activation.Limit == 5 && !c.QKVBias
		}},
		{deepseek, func(c Config) bool {
			return c.HeadDim == 32 && c.Latent.Interleaved && c.Latent.QueryRank == 0 && c.MoE.Router.Groups == 4 && c.MoE.Router.Normalize &&
				c.KVBytesPerToken(2) == 2*40*2 && c.MoE.Shared == 0 && c.MoE.sparse(0)
		}},
		{deepseek + `, "n_group": 1, "topk_group": 1, "q_lora_rank": 16, "n_shared_experts": 2, "first_k_dense_replace": 1, "rope_interleave": false`, func(c Config) bool {
			return c.MoE.Router.Groups == 0 && c.Latent.QueryRank == 16 && c.MoE.Shared == 64 && !c.MoE.sparse(0) && c.MoE.sparse(1) && !c.Latent.Interleaved
		}},
		{deepseek + `, "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 64, "mscale": 1.0, "mscale_all_dim": 1.0}`, func(c Config) bool {
			return c.RoPE.Attention == 1 && math.Abs(c.RoPE.attentionScale()-1.8739) < 1e-3 // (0.1*ln 40 + 1)^2
		}},
		{`"architectures": ["Custom", "LlamaForCausalLM"]`, func(c Config) bool { return c.Architecture == "LlamaForCausalLM" }},
		{`"rope_theta": null, "rope_parameters": {"rope_theta": 500.0, "rope_type": "default"}`, func(c Config) bool { return c.RoPE.Theta == 500 }},
		{`"rope_scaling": {"type": "linear", "factor": 4}`, func(c Config) bool { return c.MaxContext() == 1024 }},
		{`"rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 200}`, func(c Config) bool { return c.MaxContext() == 800 }},
		{`"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64}`, func(c Config) bool { return c.MaxContext() == 256 }},
	} {
		got, err := ParseConfig(edit(t, c.changes))
		if err != nil || !c.ok(got) {
			t.Errorf("%s: %+v, %v", c.changes, got, err)
		}
	}
}

// Law: the parameter count is that of the file's tensors.
func TestParametersAreTheFilesTensors(t *testing.T) {
	for _, path := range append(randomModels(t), "../../testdata/tiny-reasoner") {
		src, err := weights.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseConfig(src.Config)
		if err != nil {
			t.Fatal(err)
		}
		var total int64
		for _, name := range src.Names() {
			x, _ := src.Tensor(name)
			total += int64(x.Elements())
		}
		if got := c.Parameters(); got != total {
			t.Errorf("%s: %d parameters, the file has %d", path, got, total)
		}
		src.Close()
	}
	c, err := ParseConfig(edit(t, ``))
	if err != nil || c.KVBytesPerToken(2) != 2*2*2*16*2 {
		t.Errorf("%d bytes of KV a token, %v", c.KVBytesPerToken(2), err)
	}
}

// Law: the sizes of published models come out as their authors state them:
// parameters (gpt-oss model card, arXiv 2508.10925, table 1; Qwen3's card;
// DeepSeek-V3, arXiv 2412.19437, without multi-token prediction) and bytes a
// token of DeepSeek-V3's cache in bf16 (arXiv 2505.09343, table 1).
func TestPublishedSizes(t *testing.T) {
	for _, c := range []struct {
		config     string
		parameters float64 // billions
		kv         int64   // bytes a token in bf16
	}{
		{`"architectures": ["GptOssForCausalLM"], "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 24, "num_attention_heads": 64, "num_key_value_heads": 8,
			"head_dim": 64, "vocab_size": 201088, "num_local_experts": 32, "num_experts_per_tok": 4, "sliding_window": 128`, 20.91, 24 * 2 * 8 * 64 * 2},
		{`"architectures": ["GptOssForCausalLM"], "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 36, "num_attention_heads": 64, "num_key_value_heads": 8,
			"head_dim": 64, "vocab_size": 201088, "num_local_experts": 128, "num_experts_per_tok": 4, "sliding_window": 128`, 116.83, 36 * 2 * 8 * 64 * 2},
		{`"architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4,
			"head_dim": 128, "vocab_size": 151936, "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768`, 30.5, 48 * 2 * 4 * 128 * 2},
		{`"architectures": ["DeepseekV3ForCausalLM"], "hidden_size": 7168, "intermediate_size": 18432, "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128,
			"vocab_size": 129280, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8, "moe_intermediate_size": 2048, "first_k_dense_replace": 3, "n_group": 8,
			"topk_group": 4, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128`, 671, 70272},
	} {
		got, err := ParseConfig(edit(t, c.config))
		if err != nil {
			t.Error(err)
			continue
		}
		if n := float64(got.Parameters()) / 1e9; math.Abs(n/c.parameters-1) > 0.002 {
			t.Errorf("%s: %.2f billion parameters, the authors say %.2f", got.Architecture, n, c.parameters)
		}
		if n := got.KVBytesPerToken(2); n != c.kv {
			t.Errorf("%s: %d bytes a token, want %d", got.Architecture, n, c.kv)
		}
	}
}

func randomModels(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("../../testdata/models/*/config.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no models: %v", err)
	}
	for i := range paths {
		paths[i] = filepath.Dir(paths[i])
	}
	return paths
}

func TestGenerationDefaults(t *testing.T) {
	read := func(name string) json.RawMessage {
		data, err := os.ReadFile("../../testdata/tiny-reasoner/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	g, err := ParseGeneration(read("config.json"), read("generation_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(g.EOS) != 2 || g.EOS[0] != 1271 || g.EOS[1] != 1273 || g.BOS != nil {
		t.Errorf("end tokens %v, bos %v", g.EOS, g.BOS)
	}
	if p := g.Defaults(); p.Temperature != 0 || p.TopP != 1 || p.RepetitionPenalty != 1 {
		t.Errorf("defaults %+v", p)
	}
	g, err = ParseGeneration(json.RawMessage(`{"eos_token_id": [5, 3, 5], "bos_token_id": 1}`),
		json.RawMessage(`{"eos_token_id": 3, "do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 0.1, "repetition_penalty": 1.1}`))
	if err != nil || len(g.EOS) != 2 || g.EOS[0] != 3 || g.EOS[1] != 5 || g.BOS == nil || *g.BOS != 1 {
		t.Errorf("%+v, %v", g, err)
	}
	if p := g.Defaults(); p.Temperature != 0.6 || p.TopK != 20 || p.TopP != 0.95 || p.MinP != 0.1 || p.RepetitionPenalty != 1.1 {
		t.Errorf("defaults %+v", p)
	}
	if g, err = ParseGeneration(json.RawMessage(`{}`), nil); err != nil || g.EOS != nil || g.Defaults().Temperature != 1 {
		t.Errorf("%+v, %v", g, err)
	}
	for _, bad := range []string{
		`{"eos_token_id": "x"}`, `{"eos_token_id": [1.5]}`, `{"eos_token_id": -1}`, `{"eos_token_id": [[1]]}`, `{"eos_token_id": 4294967296}`,
		`{"temperature": -1}`, `{"temperature": "hot"}`, `{"top_p": 2}`, `{"min_p": -0.1}`, `{"repetition_penalty": 1e9}`, `[]`,
	} {
		if _, err := ParseGeneration(json.RawMessage(`{}`), json.RawMessage(bad)); err == nil || !strings.HasPrefix(err.Error(), "generation_config.json: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, path := range []string{"../../testdata/tiny-reasoner/config.json", "../../testdata/models/llama/config.json", "../../testdata/models/qwen3-yarn/config.json"} {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil {
			return
		}
		if c.Parameters() <= 0 || c.KVBytesPerToken(4) <= 0 || c.MaxContext() < 1 || len(c.Windows) != c.Layers {
			t.Errorf("%+v", c)
		}
	})
}
