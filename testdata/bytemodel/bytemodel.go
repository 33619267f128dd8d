// Package bytemodel writes a model that knows nothing: random weights and a
// vocabulary of single bytes. What it says is noise, so whatever has order in it
// was enforced. Tests of grammars and budgets use it.
package bytemodel

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// Control are the tokens behind the 256 bytes.
var Control = []string{"<|im_start|>", EOS, "<think>", "</think>"}

// EOS ends a text.
const EOS = "<|im_end|>"

// template is of a prompt's turns and what it ends with.
const template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}GENERATION{% endif %}"

// Look is what a byte model looks like from outside: it knows nothing either way.
type Look struct {
	Control    []string // tokens behind the 256 bytes; EOS is the second
	Generation string   // what a prompt ends with
}

// Thinking opens a thought at the end of a prompt.
var Thinking = Look{Control, "<|im_start|>assistant\n<think>"}

// Tokenizer is a tokenizer.json: ids 0 to 255 are the bytes, then come words,
// which no text is encoded to, then control tokens.
func Tokenizer(words, control []string) []byte {
	vocab := map[string]int{}
	for b := range 256 {
		vocab[string(letter(byte(b)))] = b
	}
	for _, w := range words {
		var name []rune
		for i := range len(w) {
			name = append(name, letter(w[i]))
		}
		vocab[string(name)] = len(vocab)
	}
	var added []map[string]any
	for i, c := range control {
		added = append(added, map[string]any{"id": len(vocab) + i, "content": c, "special": true,
			"single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
	}
	return encode(map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "normalizer": nil, "post_processor": nil, "added_tokens": added,
		"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
		"decoder":       map[string]any{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
		"model": map[string]any{"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": []string{}},
	})
}

// letter is the letter that stands for a byte in a byte-level vocabulary: itself
// where it is printable, else the next one from U+0100 on.
func letter(b byte) rune {
	n := rune(0)
	for c := range rune(256) {
		printable := c > 32 && c < 127 || c > 160 && c != 173
		switch {
		case byte(c) == b && printable:
			return c
		case byte(c) == b:
			return 256 + n
		case !printable:
			n++
		}
	}
	panic("a byte")
}

const (
	hidden = 32
	inner  = 64
	heads  = 2
	width  = 16 // of a head
)

// Write writes the folder of a model that looks like Thinking.
func Write(dir string, seed uint64, bias map[string]float64) error {
	return Thinking.Write(dir, seed, bias)
}

// Write writes the model's folder. bias is added to the logits of tokens, by
// their text, whatever stands before them: the first number of the stream is the
// same for all tokens, and the output layer reads the bias off it.
func (l Look) Write(dir string, seed uint64, bias map[string]float64) error {
	size := 256 + len(l.Control)
	r := rand.New(rand.NewPCG(seed, 1))
	w := weights{header: map[string]any{}}
	random := func(scale float64) func(int) float64 {
		return func(int) float64 { return scale * r.NormFloat64() }
	}
	one := func(int) float64 { return 1 }
	const constant = 3
	w.add("model.embed_tokens.weight", func(i int) float64 {
		if i%hidden == 0 {
			return constant
		}
		return r.NormFloat64()
	}, size, hidden)
	for _, l := range []struct {
		name    string
		out, in int
	}{
		{"self_attn.q_proj", heads * width, hidden}, {"self_attn.k_proj", width, hidden}, {"self_attn.v_proj", width, hidden}, {"self_attn.o_proj", hidden, heads * width},
		{"mlp.gate_proj", inner, hidden}, {"mlp.up_proj", inner, hidden}, {"mlp.down_proj", hidden, inner},
	} {
		w.add("model.layers.0."+l.name+".weight", random(0.1), l.out, l.in)
	}
	for _, name := range []string{"model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm", "model.norm"} {
		w.add(name+".weight", one, hidden)
	}
	for _, name := range []string{"q_norm", "k_norm"} {
		w.add("model.layers.0.self_attn."+name+".weight", one, width)
	}
	// Behind the last norm the constant is about this.
	first := constant / math.Sqrt((constant*constant+hidden-1)/float64(hidden))
	w.add("lm_head.weight", func(i int) float64 {
		if i%hidden == 0 {
			return bias[l.text(i/hidden)] / first
		}
		return 0.15 * r.NormFloat64()
	}, size, hidden)
	return w.files(dir, size, l)
}

func (l Look) text(id int) string {
	if id < 256 {
		return string([]byte{byte(id)})
	}
	return l.Control[id-256]
}

// weights is a safetensors file in the making.
type weights struct {
	header map[string]any
	data   []byte
}

func (w *weights) add(name string, value func(i int) float64, shape ...int) {
	n, from := 1, len(w.data)
	for _, d := range shape {
		n *= d
	}
	for i := range n {
		w.data = binary.LittleEndian.AppendUint32(w.data, math.Float32bits(float32(value(i))))
	}
	w.header[name] = map[string]any{"dtype": "F32", "shape": shape, "data_offsets": []int{from, len(w.data)}}
}

func (w *weights) files(dir string, size int, l Look) error {
	header := encode(w.header)
	file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	eos := 256 + 1
	for name, data := range map[string][]byte{
		"model.safetensors": append(file, w.data...),
		"tokenizer.json":    Tokenizer(nil, l.Control),
		"tokenizer_config.json": encode(map[string]any{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": EOS,
			"clean_up_tokenization_spaces": false, "chat_template": strings.Replace(template, "GENERATION", l.Generation, 1)}),
		"config.json": encode(map[string]any{
			"architectures": []string{"Qwen3ForCausalLM"}, "model_type": "qwen3", "torch_dtype": "float32", "hidden_act": "silu", "rope_theta": 10000.0, "rms_norm_eps": 1e-6,
			"vocab_size": size, "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": 1, "num_attention_heads": heads,
			"num_key_value_heads": 1, "head_dim": width, "max_position_embeddings": 2048, "tie_word_embeddings": false, "attention_bias": false, "eos_token_id": eos,
		}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return fmt.Errorf("bytemodel: %w", err)
		}
	}
	return nil
}

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // what is made here
	}
	return data
}
