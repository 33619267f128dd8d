package weights

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/weights/gguf"
)

// ggufBytes writes a GGUF file: metadata of the types that configurations use
// and F32 tensors of the given values, each a vector or [rows, cols].
func ggufBytes(meta map[string]any, tensors map[string][][]float32) []byte {
	le := binary.LittleEndian
	b := []byte("GGUF")
	str := func(s string) { b = append(le.AppendUint64(b, uint64(len(s))), s...) }
	b = le.AppendUint32(b, 3)
	b = le.AppendUint64(b, uint64(len(tensors)))
	b = le.AppendUint64(b, uint64(len(meta)))
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		str(key)
		switch v := meta[key].(type) {
		case int:
			b = le.AppendUint32(le.AppendUint32(b, 4), uint32(v))
		case float64:
			b = le.AppendUint32(le.AppendUint32(b, 6), math.Float32bits(float32(v)))
		case string:
			b = le.AppendUint32(b, 8)
			str(v)
		case []int32:
			b = le.AppendUint64(le.AppendUint32(le.AppendUint32(b, 9), 5), uint64(len(v)))
			for _, n := range v {
				b = le.AppendUint32(b, uint32(n))
			}
		}
	}
	var data []byte
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		rows := tensors[name]
		str(name)
		if len(rows) == 1 {
			b = le.AppendUint64(le.AppendUint32(b, 1), uint64(len(rows[0])))
		} else {
			b = le.AppendUint64(le.AppendUint64(le.AppendUint32(b, 2), uint64(len(rows[0]))), uint64(len(rows)))
		}
		b = le.AppendUint64(le.AppendUint32(b, 0), uint64(len(data)))
		for _, row := range rows {
			for _, v := range row {
				data = le.AppendUint32(data, math.Float32bits(v))
			}
		}
		data = append(data, make([]byte, -len(data)&31)...)
	}
	b = append(b, make([]byte, -len(b)&31)...)
	return append(b, data...)
}

// small is the least metadata and tensors of a model with head_dim 8.
func small(arch string) (map[string]any, map[string][][]float32) {
	return map[string]any{
			"general.architecture":                     arch,
			arch + ".embedding_length":                 16,
			arch + ".block_count":                      1,
			arch + ".feed_forward_length":              4,
			arch + ".context_length":                   64,
			arch + ".attention.head_count":             2,
			arch + ".attention.layer_norm_rms_epsilon": 1e-6,
		}, map[string][][]float32{
			"token_embd.weight": {make([]float32, 16), make([]float32, 16), make([]float32, 16)},
		}
}

// load opens small(arch) with the metadata changed; nil removes a key.
func load(t *testing.T, arch string, changed map[string]any, extra map[string][][]float32) (*Model, map[string]any, error) {
	t.Helper()
	meta, tensors := small(arch)
	for key, v := range changed {
		if !strings.HasPrefix(key, "tokenizer.") && !strings.HasPrefix(key, "general.") && !strings.HasPrefix(key, "split.") {
			key = arch + "." + key
		}
		if v == nil {
			delete(meta, key)
		} else {
			meta[key] = v
		}
	}
	maps.Copy(tensors, extra)
	m := &Model{tensors: map[string]*entry{}}
	err := m.loadGGUF(ggufBytes(meta, tensors))
	config := map[string]any{}
	if err == nil {
		if err := json.Unmarshal(m.Config, &config); err != nil {
			t.Fatal(err)
		}
	}
	return m, config, err
}

func TestGGUFConfigHasHuggingFacesDefaults(t *testing.T) {
	_, c, err := load(t, "qwen3", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"model_type": "qwen3", "num_attention_heads": 2.0, "num_key_value_heads": 2.0, "head_dim": 8.0, "vocab_size": 3.0,
		"rope_theta": 10000.0, "rope_scaling": nil, "tie_word_embeddings": true, "rms_norm_eps": 1e-6, "bos_token_id": nil, "sliding_window": nil,
	} {
		if c[key] != want {
			t.Errorf("%s is %v, want %v", key, c[key], want)
		}
	}
	if a, _ := c["architectures"].([]any); len(a) != 1 || a[0] != "Qwen3ForCausalLM" {
		t.Errorf("architectures %v", a)
	}
	_, c, err = load(t, "qwen3", map[string]any{"attention.key_length": 32, "attention.head_count_kv": []int32{1, 1}, "rope.freq_base": 1e6,
		"tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.eot_token_id": 2, "tokenizer.ggml.bos_token_id": 99, "general.sampling.temp": 0.5, "general.sampling.top_k": 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c["head_dim"] != 32.0 || c["num_key_value_heads"] != 1.0 || c["rope_theta"] != 1e6 || c["bos_token_id"] != nil || len(c["eos_token_id"].([]any)) != 1 {
		t.Errorf("%v", c)
	}
}

func TestGGUFSamplingMetadataBecomesTheGenerationConfig(t *testing.T) {
	m, _, err := load(t, "qwen3", map[string]any{"general.sampling.temp": 0.6, "general.sampling.top_k": 20, "general.sampling.top_p": 0.95}, nil)
	if err != nil || string(m.Generation) != `{"temperature":0.6,"top_k":20,"top_p":0.95}` {
		t.Errorf("%s, %v", m.Generation, err)
	}
	if m, _, _ := load(t, "qwen3", nil, nil); m.Generation != nil {
		t.Errorf("%s", m.Generation)
	}
}

func TestGGUFRoPEScaling(t *testing.T) {
	for _, c := range []struct {
		meta map[string]any
		want string
	}{
		{map[string]any{"rope.scaling.type": "none"}, `null`},
		{map[string]any{"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}, `{"factor":4,"rope_type":"linear"}`},
		{map[string]any{"rope.scale_linear": 2.0}, `{"factor":2,"rope_type":"linear"}`},
		{map[string]any{"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 16, "rope.scaling.yarn_beta_fast": 31.0},
			`{"beta_fast":31,"factor":4,"original_max_position_embeddings":16,"rope_type":"yarn"}`},
	} {
		_, config, err := load(t, "qwen2", c.meta, nil)
		if got, _ := json.Marshal(config["rope_scaling"]); err != nil || string(got) != c.want {
			t.Errorf("%v: %s, want %s, %v", c.meta, got, c.want, err)
		}
	}
}

// The divisors are what llama.cpp's converter writes for Llama 3.2: theta
// 500000, head_dim 8, factor 32; worked out by hand for each frequency.
func TestLlama3ScalingIsFoundFromItsDivisors(t *testing.T) {
	// wavelengths 2 pi theta^(i/4): 6.28, 167, 4442.9 (between 2048 and 8192), 118141
	smooth := (8192/4442.8829 - 1) / 3
	divisors := []float32{1, 1, float32(1 / ((1-smooth)/32 + smooth)), 32}
	_, config, err := load(t, "llama", map[string]any{"rope.freq_base": 500000.0}, map[string][][]float32{"rope_freqs.weight": {divisors}})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := json.Marshal(config["rope_scaling"]); string(got) != `{"factor":32,"high_freq_factor":4,"low_freq_factor":1,"original_max_position_embeddings":8192,"rope_type":"llama3"}` {
		t.Errorf("%s", got)
	}
	_, config, err = load(t, "llama", nil, map[string][][]float32{"rope_freqs.weight": {{1, 1, 1, 1}}})
	if err != nil || config["rope_scaling"] != nil {
		t.Errorf("all ones: %v, %v", config["rope_scaling"], err)
	}
	for _, bad := range [][]float32{{1, 2, 3, 32}, {1, 1, 1}, {1, 1, float32(math.NaN()), 32}, {0, 0, 0, 0}} {
		if _, _, err := load(t, "llama", map[string]any{"rope.freq_base": 500000.0}, map[string][][]float32{"rope_freqs.weight": {bad}}); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}

func TestBadGGUFConfigurationsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		meta map[string]any
		want string
	}{
		"no architecture":           {map[string]any{"general.architecture": nil}, "general.architecture"},
		"architecture of two lines": {map[string]any{"general.architecture": "a\nb"}, "general.architecture"},
		"split file":                {map[string]any{"split.count": 3}, "one of 3 parts"},
		// CVE-2024-8063, CVE-2025-0312: a key of another type, or missing, is
		// divided by or followed.
		"no width":                  {map[string]any{"embedding_length": nil}, "embedding_length is missing"},
		"width 0":                   {map[string]any{"embedding_length": 0}, "embedding_length is 0"},
		"width is a string":         {map[string]any{"embedding_length": "16"}, "embedding_length is missing or not"},
		"layers are a list":         {map[string]any{"block_count": []int32{1}}, "block_count is missing or not"},
		"layers 2^32-1":             {map[string]any{"block_count": -1}, "block_count"},
		"heads 0":                   {map[string]any{"attention.head_count": 0}, "head_count is 0"},
		"heads missing":             {map[string]any{"attention.head_count": nil}, "head_count"},
		"kv heads 0":                {map[string]any{"attention.head_count_kv": 0}, "head_count_kv is 0"},
		"kv heads do not divide":    {map[string]any{"attention.head_count": 3, "attention.head_count_kv": 2}, "do not divide"},
		"kv heads differ":           {map[string]any{"attention.head_count_kv": []int32{1, 2}}, "differs between layers"},
		"kv heads negative":         {map[string]any{"attention.head_count_kv": []int32{-1}}, "do not divide"},
		"value length differs":      {map[string]any{"attention.value_length": 4}, "value_length"},
		"part of the head rotates":  {map[string]any{"rope.dimension_count": 4}, "dimension_count"},
		"eps missing":               {map[string]any{"attention.layer_norm_rms_epsilon": nil}, "epsilon"},
		"eps NaN":                   {map[string]any{"attention.layer_norm_rms_epsilon": math.NaN()}, "epsilon"},
		"theta NaN":                 {map[string]any{"rope.freq_base": math.NaN()}, "freq_base"},
		"theta 0":                   {map[string]any{"rope.freq_base": 0.0}, "freq_base"},
		"theta infinite":            {map[string]any{"rope.freq_base": math.Inf(1)}, "freq_base"},
		"unknown scaling":           {map[string]any{"rope.scaling.type": "longrope"}, "longrope"},
		"scaling without a factor":  {map[string]any{"rope.scaling.type": "linear"}, "factor"},
		"scaling by 0":              {map[string]any{"rope.scaling.type": "yarn", "rope.scaling.factor": 0.0}, "factor"},
		"sampling is not a number":  {map[string]any{"general.sampling.temp": math.Inf(1)}, "sampling"},
		"old linear scaling is NaN": {map[string]any{"rope.scale_linear": math.NaN()}, "factor"},
	} {
		if _, _, err := load(t, "llama", c.meta, nil); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v does not say %q in one line", name, err, c.want)
		}
	}
}

func TestBadGGUFTensorsAreRefused(t *testing.T) {
	four := [][]float32{{1}, {2}, {3}, {4}}
	for name, c := range map[string]struct {
		tensors map[string][][]float32
		want    string
	}{
		"q does not fit its heads": {map[string][][]float32{"blk.0.attn_q.weight": {{1}, {2}, {3}}}, `"blk.0.attn_q.weight"`},
		"k has an odd head_dim":    {map[string][][]float32{"blk.0.attn_k.weight": {{1}, {2}}}, `"blk.0.attn_k.weight"`},
		"two spellings of a name":  {map[string][][]float32{"blk.0.attn_v.weight": four, "model.layers.0.self_attn.v_proj.weight": four}, "is there twice"},
	} {
		if _, _, err := load(t, "llama", nil, c.tensors); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ggufConfig(mustParse(t, ggufBytes(map[string]any{"general.architecture": "llama"}, nil))); err == nil {
		t.Error("no tensors at all")
	}
}

// Row r of the file's only head is Hugging Face's row j*half + i, r = 2i + j.
func TestLlamaRowsAreUnpermutedAndOthersAreNot(t *testing.T) {
	q := map[string][][]float32{"blk.0.attn_q.weight": {{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}}, "blk.0.attn_q.bias": {{0, 1, 2, 3, 4, 5, 6, 7}}}
	for arch, want := range map[string][]float32{
		"llama": {0, 2, 1, 3, 4, 6, 5, 7}, // two heads of 4
		"qwen2": {0, 1, 2, 3, 4, 5, 6, 7},
	} {
		m, _, err := load(t, arch, nil, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.q_proj.bias"} {
			tensor, ok := m.Tensor(name)
			if !ok || !slices.Equal(tensor.Float32(), want) {
				t.Errorf("%s: %s is %v, want %v", arch, name, tensor.Float32(), want)
			}
		}
	}
}

func mustParse(t *testing.T, data []byte) *gguf.File {
	t.Helper()
	f, err := gguf.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// FuzzOpenGGUF: whatever the metadata says, loading gives a model whose
// tensors can be read, or an error.
func FuzzOpenGGUF(f *testing.F) {
	for _, arch := range []string{"llama", "qwen3", "other"} {
		f.Add(ggufBytes(small(arch)))
	}
	if raw, err := os.ReadFile(models + "llama-linear.gguf"); err == nil {
		f.Add(raw[:4096])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := &Model{tensors: map[string]*entry{}}
		if err := m.loadGGUF(data); err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("more than a line: %q", err)
			}
			return
		}
		for _, name := range m.Names() {
			tensor, ok := m.Tensor(name)
			if !ok || len(tensor.Data) != tensor.Rows()*tensor.RowBytes() {
				t.Errorf("%q: %d bytes for %v", name, len(tensor.Data), tensor.Shape)
			}
		}
	})
}
