package weights

import (
	"fmt"
	"math"

	"github.com/reasond/reasond/internal/weights/gguf"
	"github.com/reasond/reasond/internal/weights/quant"
)

// ropeScaling is config.json's rope_scaling.
type ropeScaling struct {
	Type           string   `json:"rope_type"`
	Factor         float32  `json:"factor,omitempty"`
	LowFreqFactor  float32  `json:"low_freq_factor,omitempty"`
	HighFreqFactor float32  `json:"high_freq_factor,omitempty"`
	OriginalLength int64    `json:"original_max_position_embeddings,omitempty"`
	BetaFast       *float32 `json:"beta_fast,omitempty"`
	BetaSlow       *float32 `json:"beta_slow,omitempty"`
	Truncate       *bool    `json:"truncate,omitempty"`
}

// rope reads the rotary embedding's base and scaling. Linear and YaRN are in
// the metadata. For Llama 3's own scaling a file holds only what it results
// in, a divisor for each frequency (the tensor rope_freqs.weight): llama3
// finds its parameters again.
func (c *hfConfig) rope(f *gguf.File, arch string) error {
	c.RoPETheta = 10000
	if base, ok := f.Float(arch + ".rope.freq_base"); ok {
		c.RoPETheta = float32(base)
	}
	if !(c.RoPETheta > 0) || math.IsInf(float64(c.RoPETheta), 0) {
		return fmt.Errorf("gguf: rope.freq_base is not a positive number")
	}
	if t, ok := f.Tensor("rope_freqs.weight"); ok {
		s, err := c.llama3(t)
		c.RoPEScaling = s
		return err
	}
	kind, _ := f.String(arch + ".rope.scaling.type")
	factor, hasFactor := f.Float(arch + ".rope.scaling.factor")
	if old, ok := f.Float(arch + ".rope.scale_linear"); ok && kind == "" && old != 1 {
		kind, factor, hasFactor = "linear", old, true
	}
	switch kind {
	case "", "none":
		return nil
	case "linear", "yarn":
	default:
		return fmt.Errorf("gguf: rope scaling %.40q is not supported", kind)
	}
	if !hasFactor || !(factor >= 1) || math.IsInf(factor, 0) {
		return fmt.Errorf("gguf: rope.scaling.factor is missing or under 1")
	}
	s := &ropeScaling{Type: kind, Factor: float32(factor)}
	if kind == "yarn" {
		s.yarn(f, arch)
		if s.OriginalLength == 0 {
			s.OriginalLength = c.MaxPositionEmbeddings
		}
	}
	c.RoPEScaling = s
	return nil
}

func (s *ropeScaling) yarn(f *gguf.File, arch string) {
	if n, ok := f.Int(arch + ".rope.scaling.original_context_length"); ok && n > 0 {
		s.OriginalLength = n
	}
	for key, to := range map[string]**float32{
		"yarn_beta_fast": &s.BetaFast,
		"yarn_beta_slow": &s.BetaSlow,
	} {
		if v, ok := f.Float(arch + ".rope.scaling." + key); ok {
			v32 := float32(v)
			*to = &v32
		}
	}
}

// llama3 finds the parameters whose divisors are those of the tensor: Llama
// 3.1 and later all use low 1, high 4 over 8192 positions, and the largest
// divisor is the factor. Other divisors are refused: no config key can state
// them. (transformers, modeling_rope_utils, llama3.)
func (c *hfConfig) llama3(t gguf.Tensor) (*ropeScaling, error) {
	if len(t.Shape) != 1 || int64(t.Shape[0]) != c.HeadDim/2 {
		return nil, fmt.Errorf("gguf: tensor %q: shape %v, not head_dim/2 = %d", t.Name, t.Shape, c.HeadDim/2)
	}
	got := make([]float32, t.Shape[0])
	quant.Dequantise(got, t.DType, t.Data)
	factor := float32(1)
	for _, v := range got {
		if v > factor {
			factor = v
		}
	}
	s := &ropeScaling{Type: "llama3", Factor: factor, LowFreqFactor: 1, HighFreqFactor: 4, OriginalLength: 8192}
	if factor == 1 {
		s = nil
	}
	for i, v := range got {
		want := 1.0
		if s != nil {
			want = s.divisor(float64(c.RoPETheta), i, int(c.HeadDim))
		}
		if !(math.Abs(float64(v)-want) <= 1e-3*want) {
			return nil, fmt.Errorf("gguf: tensor %q: the divisors are not Llama 3's, which is not supported", t.Name)
		}
	}
	return s, nil
}

// divisor is what llama3 scaling divides the i-th frequency by.
func (s *ropeScaling) divisor(theta float64, i, dim int) float64 {
	wavelen := 2 * math.Pi * math.Pow(theta, float64(2*i)/float64(dim))
	length, factor := float64(s.OriginalLength), float64(s.Factor)
	low, high := float64(s.LowFreqFactor), float64(s.HighFreqFactor)
	switch {
	case wavelen < length/high:
		return 1
	case wavelen > length/low:
		return factor
	}
	smooth := (length/wavelen - low) / (high - low)
	return 1 / ((1-smooth)/factor + smooth)
}
