package weights

import (
	"fmt"
	"strings"

	"github.com/reasond/reasond/internal/weights/gguf"
)

// The tensors of a decoder by their GGUF names, without ".weight" or ".bias".
var ggufNames = map[string]string{
	"token_embd":  "model.embed_tokens",
	"output_norm": "model.norm",
	"output":      "lm_head",
}

// The tensors of layer N, "blk.N." in GGUF and "model.layers.N." here.
var ggufLayerNames = map[string]string{
	"attn_norm":   "input_layernorm",
	"attn_q":      "self_attn.q_proj",
	"attn_k":      "self_attn.k_proj",
	"attn_v":      "self_attn.v_proj",
	"attn_output": "self_attn.o_proj",
	"attn_q_norm": "self_attn.q_norm",
	"attn_k_norm": "self_attn.k_norm",
	"ffn_norm":    "post_attention_layernorm",
	"ffn_gate":    "mlp.gate_proj",
	"ffn_up":      "mlp.up_proj",
	"ffn_down":    "mlp.down_proj",

	"ffn_gate_inp":  "mlp.gate",
	"ffn_gate_exps": "mlp.experts.gate_proj",
	"ffn_up_exps":   "mlp.experts.up_proj",
	"ffn_down_exps": "mlp.experts.down_proj",
}

// Where gpt-oss's layers differ.
var gptOSSLayerNames = map[string]string{
	"post_attention_norm": "post_attention_layernorm",
	"ffn_gate_inp":        "mlp.router",
}

// hfName is the Hugging Face name of an architecture's GGUF tensor. A name
// outside the tables stays as it is.
func hfName(arch, name string) string {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return name
	}
	stem, suffix := name[:dot], name[dot:]
	if suffix != ".weight" && suffix != ".bias" {
		return name
	}
	if hf, ok := ggufNames[stem]; ok {
		return hf + suffix
	}
	rest, ok := strings.CutPrefix(stem, "blk.")
	if !ok {
		return name
	}
	layer, part, _ := strings.Cut(rest, ".")
	if part == "attn_sinks" {
		return "model.layers." + layer + ".self_attn.sinks"
	}
	if hf, ok := gptOSSLayerNames[part]; ok && arch == "gpt-oss" {
		return "model.layers." + layer + "." + hf + suffix
	}
	if hf, ok := ggufLayerNames[part]; ok {
		return "model.layers." + layer + "." + hf + suffix
	}
	return name
}

// mapGGUF enters the file's tensors under their Hugging Face names.
func (m *Model) mapGGUF(f *gguf.File) error {
	arch, _ := f.String("general.architecture") // checked by ggufConfig
	heads, kvHeads := 0, 0
	if arch == "llama" {
		var err error
		if heads, kvHeads, err = ggufHeads(f, arch); err != nil {
			return err
		}
	}
	for _, t := range f.Tensors {
		e := &entry{tensor: Tensor{DType: t.DType, Shape: t.Shape, Data: t.Data}}
		name, permuted := hfName(arch, t.Name), 0
		switch {
		case strings.Contains(name, ".self_attn.q_proj."):
			permuted = heads
		case strings.Contains(name, ".self_attn.k_proj."):
			permuted = kvHeads
		}
		if permuted > 0 {
			if len(t.Shape) > 2 || t.Shape[0]%(2*permuted) != 0 || len(t.Shape) == 1 && t.DType.Quantised() {
				return fmt.Errorf("gguf: tensor %.80q: shape %v of %s is not that of %d heads", t.Name, t.Shape, t.DType, permuted)
			}
			file := e.tensor
			e.make = func() Tensor { return unpermute(file, permuted) }
			e.raw = [][]byte{t.Data}
		}
		if err := m.add(name, e); err != nil {
			return fmt.Errorf("gguf: %w", err)
		}
	}
	return nil
}

// unpermute puts the rows of a llama's Q or K projection (or the elements of
// its bias) back into Hugging Face's order. llama.cpp's converter interleaves
// the two halves of each head, for a RoPE that turns neighbours:
//
//	file row 2*i+j of a head = Hugging Face row j*half+i     j in {0, 1}
//
// Whole rows move, so quantised blocks stay as they are.
func unpermute(t Tensor, heads int) Tensor {
	rows := t.Shape[0]
	size := len(t.Data) / rows
	dim := rows / heads
	half := dim / 2
	data := make([]byte, len(t.Data))
	for h := range heads {
		for i := range half {
			for j := range 2 {
				from, to := h*dim+2*i+j, h*dim+j*half+i
				copy(data[to*size:(to+1)*size], t.Data[from*size:])
			}
		}
	}
	t.Data = data
	return t
}
