//go:build cuda && cgo && linux

package gpucheck

import (
	"fmt"
	"time"

	"github.com/reasond/reasond/internal/bench"
	driver "github.com/reasond/reasond/internal/cuda"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// Prefill measures what arithmetic bounds: the product of many rows by our own
// kernel and by cuBLASLt, and attention over a long prompt.
func (r *Rig) Prefill() (*bench.Table, error) {
	t := &bench.Table{
		Title:  "Prefill",
		Note:   "Floating-point operations of the definition over the kernel's time; attention counts the half that the causal mask leaves.",
		Header: []string{"kernel", "shape", "µs", "TFLOP/s"},
	}
	defer r.release()
	for _, s := range pick(r, [][3]int{{512, 24576, 4096}, {4096, 24576, 4096}, {4096, 4096, 12288}}, [][3]int{{96, 64, 64}}) {
		if err := r.gemms(t, s[0], s[1], s[2]); err != nil {
			return t, err
		}
		r.release()
	}
	const heads, kvHeads, dim = 32, 8, 128
	rows := pick(r, 8192, 64)
	a, err := r.attention(1, rows, rows, heads, kvHeads, dim)
	if err != nil {
		return t, err
	}
	took, err := r.kernels([][]kernels.Launch{a})
	if err != nil {
		return t, err
	}
	r.addFlops(t, "prefill attention", fmt.Sprintf("%d tokens, %d heads of %d", rows, heads, dim), 2*float64(heads)*dim*float64(rows)*float64(rows), took)
	return t, nil
}

func (r *Rig) addFlops(t *bench.Table, name, shape string, flops float64, took time.Duration) {
	t.Add(name, shape, micros(took), flops/max(float64(took), 1)/1e3)
}

// gemms measures y[m][n] = x[m][k]·w[n][k]ᵀ both ways.
func (r *Rig) gemms(t *bench.Table, m, n, k int) error {
	b, err := r.batch(m)
	if err != nil {
		return err
	}
	x, err := r.buffer(kernels.ElemBF16, m, k)
	if err != nil {
		return err
	}
	y, err := r.buffer(kernels.ElemBF16, m, n)
	if err != nil {
		return err
	}
	w, err := r.take(int64(n) * int64(k) * 2)
	if err != nil {
		return err
	}
	shape, flops := fmt.Sprintf("%d×%d by %d", m, k, n), 2*float64(m)*float64(n)*float64(k)
	own, err := kernels.Gemm(b, m, y, x, w, n, k, k, 0, false)
	if err != nil {
		return err
	}
	took, err := r.kernels([][]kernels.Launch{{own}})
	if err != nil {
		return err
	}
	r.addFlops(t, "gemm", shape, flops, took)
	if r.blas == nil {
		t.Add("cuBLASLt", shape, "not found", "")
		return nil
	}
	const space = 32 << 20
	plan, err := r.blas.Plan(driver.MatMul{M: m, N: n, K: k, Space: space})
	if err != nil {
		return err
	}
	workspace, err := r.take(max(plan.Workspace(), 256))
	if err != nil {
		return err
	}
	took, err = r.launch(1, func(s *driver.Stream) error {
		return plan.Enqueue(s, x.Ptr, w, y.Ptr, 0, 0, workspace, max(plan.Workspace(), 256))
	})
	if err != nil {
		return err
	}
	r.addFlops(t, "cuBLASLt", shape, flops, took)
	return nil
}
