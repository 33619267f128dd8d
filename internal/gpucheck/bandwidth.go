//go:build cuda && cgo && linux

package gpucheck

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/reasond/reasond/internal/bench"
	"github.com/reasond/reasond/internal/weights"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// Bandwidth measures kernels that memory bounds: what they must read and write,
// over the time they take, and what share that is of a plain copy.
func (r *Rig) Bandwidth() (*bench.Table, error) {
	copied, err := r.copySpeed()
	if err != nil {
		return nil, err
	}
	t := &bench.Table{
		Title:  "Bandwidth",
		Note:   "Bytes that the kernel cannot do without, over its time; 100 % is a copy within the device, which reads and writes.",
		Header: []string{"kernel", "shape", "µs", "GB/s", "% of copy"},
	}
	t.Add("copy", fmt.Sprintf("%d MiB", r.sizes.copied>>20), micros(copyTime(r, copied)), copied, 100.0)
	for _, measure := range []func(*measurement) error{linears, norms, activations, decodeAttention, samplers} {
		m := &measurement{Rig: r, table: t, copied: copied}
		err := measure(m)
		r.release()
		if err != nil {
			return t, err
		}
	}
	return t, nil
}

type measurement struct {
	*Rig
	table  *bench.Table
	copied float64
}

func micros(t time.Duration) float64 { return float64(t) / 1e3 }

func copyTime(r *Rig, speed float64) time.Duration {
	return time.Duration(2 * float64(r.sizes.copied) / speed)
}

// add measures a kernel whose rounds work on different memory.
func (m *measurement) add(name, shape string, bytes int64, rounds [][]kernels.Launch) error {
	t, err := m.kernels(rounds)
	if err != nil {
		return fmt.Errorf("%s, %s: %w", name, shape, err)
	}
	s := speed(bytes, t)
	m.table.Add(name, shape, micros(t), s, 100*s/m.copied)
	return nil
}

// batch is a step's arrays with so many rows.
func (r *Rig) batch(rows int) (kernels.Batch, error) {
	header := make([]byte, 4*kernels.HeaderWords)
	binary.LittleEndian.PutUint32(header[4*kernels.HeaderRows:], uint32(rows))
	p, err := r.upload(header)
	return kernels.Batch{Header: p}, err
}

func (r *Rig) buffer(elem kernels.Elem, rows, cols int) (kernels.Buffer, error) {
	p, err := r.take(int64(rows) * int64(cols) * int64(elem.Size()))
	return kernels.Buffer{Ptr: p, Elem: elem, Cols: cols}, err
}

// format is a matrix's format as a tensor of random codes has it.
type format struct {
	name string
	make func(rows, cols int) weights.Tensor
}

var formats = []format{
	{"bf16", plain(weights.BF16)}, {"q8_0", plain(weights.Q8_0)}, {"q4_0", plain(weights.Q4_0)}, {"q4_k", plain(weights.Q4_K)},
	{"q6_k", plain(weights.Q6_K)}, {"mxfp4", plain(weights.MXFP4)},
	{"int4, groups of 128", func(rows, cols int) weights.Tensor {
		t := plain(weights.I4)(rows, cols)
		scale, zero := plain(weights.F16)(rows, cols/128), plain(weights.U8)(rows, cols/128)
		t.Scale, t.Zero, t.ScaleBlock = &scale, &zero, [2]int{1, 128}
		return t
	}},
	{"fp8, blocks of 128", func(rows, cols int) weights.Tensor {
		t := plain(weights.F8E4M3)(rows, cols)
		scale := plain(weights.F32)((rows+127)/128, (cols+127)/128)
		t.Scale, t.ScaleBlock = &scale, [2]int{128, 128}
		return t
	}},
}

func plain(d weights.DType) func(rows, cols int) weights.Tensor {
	return func(rows, cols int) weights.Tensor {
		t := weights.Tensor{Name: d.String(), DType: d, Shape: []int{rows, cols}}
		t.Data = make([]byte, rows*t.RowBytes())
		return t
	}
}

// linears are the products of decoding: every weight is read once.
func linears(m *measurement) error {
	in, out := pick(m.Rig, 4096, 256), pick(m.Rig, 24576, 64) // gate and up of Qwen3-8B
	partials, counters := kernels.ScratchBytes(m.dev.Info.SMs)
	scratch := kernels.Scratch{SMs: m.dev.Info.SMs}
	var err error
	if scratch.Partials, err = m.take(partials); err != nil {
		return err
	}
	if scratch.Counters, err = m.upload(make([]byte, counters)); err != nil {
		return err
	}
	for _, f := range formats {
		layout, err := kernels.NewLayout(kernels.Matrix{Parts: []weights.Tensor{f.make(out, in)}})
		if err != nil {
			return err
		}
		copies := int(max(1, m.sizes.spread/layout.Bytes))
		stack, err := m.take(layout.Bytes * int64(copies))
		if err != nil {
			return err
		}
		for _, rows := range pick(m.Rig, []int{1, 4, 16}, []int{2}) {
			if err := m.linear(f.name, rows, layout, stack, copies, scratch); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *measurement) linear(name string, rows int, l kernels.Layout, stack kernels.Ptr, copies int, s kernels.Scratch) error {
	b, err := m.batch(rows)
	if err != nil {
		return err
	}
	x, err := m.buffer(kernels.ElemBF16, rows, l.In)
	if err != nil {
		return err
	}
	y, err := m.buffer(kernels.ElemBF16, rows, l.Out)
	if err != nil {
		return err
	}
	var rounds [][]kernels.Launch
	for i := range copies {
		w := kernels.Weights{Layout: l, Ptr: stack + kernels.Ptr(int64(i)*l.Bytes), Count: 1}
		launches, err := kernels.Linear(b, s, rows, y, x, w, false)
		if err != nil {
			return err
		}
		rounds = append(rounds, launches)
	}
	bytes := l.Bytes + int64(2*rows*(l.In+l.Out))
	return m.add("linear "+name, fmt.Sprintf("%d×%d, %d rows", l.In, l.Out, rows), bytes, rounds)
}

func norms(m *measurement) error {
	rows, cols := pick(m.Rig, 16384, 4), pick(m.Rig, 4096, 256)
	b, err := m.batch(rows)
	if err != nil {
		return err
	}
	x, err := m.buffer(kernels.ElemF32, rows, cols)
	if err != nil {
		return err
	}
	y, err := m.buffer(kernels.ElemBF16, rows, cols)
	if err != nil {
		return err
	}
	w, err := m.take(int64(4 * cols))
	if err != nil {
		return err
	}
	l, err := kernels.RMSNorm(b, rows, y, x, w, 1e-6)
	if err != nil {
		return err
	}
	return m.add("rmsnorm", fmt.Sprintf("%d×%d", rows, cols), int64(rows*cols*6), [][]kernels.Launch{{l}})
}

func activations(m *measurement) error {
	rows, cols := pick(m.Rig, 8192, 4), pick(m.Rig, 12288, 64)
	b, err := m.batch(rows)
	if err != nil {
		return err
	}
	x, err := m.buffer(kernels.ElemBF16, rows, 2*cols)
	if err != nil {
		return err
	}
	y, err := m.buffer(kernels.ElemBF16, rows, cols)
	if err != nil {
		return err
	}
	l, err := kernels.Activate(b, rows, y, x, 0, 0, 0)
	if err != nil {
		return err
	}
	return m.add("silu·mul", fmt.Sprintf("%d×%d", rows, cols), int64(rows*cols*6), [][]kernels.Launch{{l}})
}

// decodeAttention reads the whole context of every sequence: Qwen3-8B's heads.
func decodeAttention(m *measurement) error {
	const heads, kvHeads, dim = 32, 8, 128
	context := pick(m.Rig, 32768, 256)
	for _, seqs := range pick(m.Rig, []int{1, 4, 32}, []int{2}) {
		a, err := m.attention(seqs, 1, context, heads, kvHeads, dim)
		if err != nil {
			return err
		}
		bytes := int64(seqs) * int64(context) * kvHeads * dim * 2 * 2
		if err := m.add("decode attention", fmt.Sprintf("%d × %d tokens", seqs, context), bytes, [][]kernels.Launch{a}); err != nil {
			return err
		}
		m.release()
	}
	return nil
}

// attention is one layer's attention of sequences with count new tokens each.
func (r *Rig) attention(seqs, count, context, heads, kvHeads, dim int) ([]kernels.Launch, error) {
	rows, pages := seqs*count, context/kernels.PageTokens
	p, err := kernels.NewPlanner(heads, kvHeads, dim, 0, false,
		kernels.Limits{MaxRows: rows, MaxSeqs: seqs, MaxContext: context, SMs: r.dev.Info.SMs})
	if err != nil {
		return nil, err
	}
	most := p.Capacity(rows)
	header := make([]int32, kernels.HeaderWords)
	var list, pos, table []int32
	for s := range seqs {
		list = append(list, int32(s), int32(s*count), int32(count), int32(context), int32(s*pages))
		for i := range count {
			pos = append(pos, int32(context-count+i))
		}
		for i := range pages {
			table = append(table, int32(s*pages+i))
		}
	}
	narrow := make([]int32, max(1, most.Narrow)*kernels.ItemWords)
	wide := make([]int32, max(1, most.Wide)*kernels.ItemWords)
	merges := make([]int32, max(1, most.Merges)*kernels.MergeWords)
	work := p.Plan(list, narrow, wide, merges)
	header[kernels.HeaderRows], header[kernels.HeaderSeqs] = int32(rows), int32(seqs)
	header[kernels.HeaderNarrow], header[kernels.HeaderWide], header[kernels.HeaderMerges] = int32(work.Narrow), int32(work.Wide), int32(work.Merges)
	var b kernels.Batch
	for _, part := range []struct {
		to   *kernels.Ptr
		data []int32
	}{
		{&b.Header, header}, {&b.Pos, pos}, {&b.Pages, table}, {&b.Narrow, narrow}, {&b.Wide, wide}, {&b.Merges, merges},
	} {
		if *part.to, err = r.upload(little(part.data)); err != nil {
			return nil, err
		}
	}
	a := kernels.Attention{Heads: heads, Scale: float32(1 / math.Sqrt(float64(dim))), KV: kernels.KV{KVHeads: kvHeads, HeadDim: dim}}
	for _, part := range []struct {
		to    *kernels.Ptr
		bytes int64
	}{
		{&a.KV.K, int64(seqs*pages*kernels.PageTokens) * int64(kvHeads*dim*2)}, {&a.KV.V, int64(seqs*pages*kernels.PageTokens) * int64(kvHeads*dim*2)},
		{&a.Partials, p.PartialBytes(heads, dim)},
	} {
		if *part.to, err = r.take(max(part.bytes, 16)); err != nil {
			return nil, err
		}
	}
	qkv, err := r.buffer(kernels.ElemBF16, rows, (heads+2*kvHeads)*dim)
	if err != nil {
		return nil, err
	}
	out, err := r.buffer(kernels.ElemBF16, rows, heads*dim)
	if err != nil {
		return nil, err
	}
	return a.Launches(b, rows, p, out, qkv, false)
}

func little(v []int32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
	}
	return b
}
