package cuda

import (
	"testing"

	"github.com/reasond/reasond/internal/weights"
	"github.com/reasond/reasond/internal/weights/quant"
)

func BenchmarkPack(b *testing.B) {
	for _, d := range []quant.DType{quant.BF16, quant.F16, quant.Q8_0, quant.Q4_K, quant.Q6_K, quant.MXFP4} {
		b.Run(d.String(), func(b *testing.B) {
			w := weights.Tensor{DType: d, Shape: []int{2048, 2048}}
			w.Data = make([]byte, 2048*w.RowBytes())
			m := Matrix{Parts: []weights.Tensor{w}}
			l, err := NewLayout(m)
			if err != nil {
				b.Fatal(err)
			}
			dst := make([]byte, l.Bytes)
			b.SetBytes(int64(len(w.Data)))
			for b.Loop() {
				if err := l.Pack(dst, m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
