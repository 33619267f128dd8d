package cpu_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/backend/cpu"
	"github.com/reasond/reasond/internal/weights"
	kernels "github.com/reasond/reasond/kernels/cpu"
	"github.com/reasond/reasond/testdata/smollm2"
)

// shape is that of a llama model.
type shape struct{ layers, hidden, ffn, heads, kvHeads, dim, vocab int }

var (
	smolLM2    = shape{30, 576, 1536, 9, 3, 64, 49152} // SmolLM2-135M
	blocks256  = shape{30, 512, 1536, 8, 2, 64, 49152} // about that, in whole blocks of 256
	smallShape = shape{2, 256, 512, 8, 2, 32, 1100}
)

// randomTensor is a matrix whose blocks hold random codes and small scales, so
// that every bit pattern of the format is met and the values stay moderate.
func randomTensor(r *rand.Rand, dtype weights.DType, rows, cols int) weights.Tensor {
	t := weights.Tensor{Name: fmt.Sprint("random", r.Uint32()), DType: dtype, Shape: []int{rows, cols}}
	t.Data = make([]byte, rows*t.RowBytes())
	for i := 0; i+8 <= len(t.Data); i += 8 {
		v := r.Uint64()
		for j := range 8 {
			t.Data[i+j] = byte(v >> (8 * j))
		}
	}
	size := dtype.BlockBytes()
	half := func(at int) { t.Data[at+1] = t.Data[at+1]&0x80 | 0x18 } // about 0.002
	for at := 0; at < len(t.Data); at += size {
		switch dtype {
		case weights.F32:
			v := math.Float32bits(float32(r.NormFloat64() * 0.05))
			t.Data[at], t.Data[at+1], t.Data[at+2], t.Data[at+3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
		case weights.BF16:
			v := math.Float32bits(float32(r.NormFloat64() * 0.05))
			t.Data[at], t.Data[at+1] = byte(v>>16), byte(v>>24)
		case weights.F16:
			t.Data[at+1] = t.Data[at+1]&0x83 | 0x28
		case weights.Q8_0, weights.Q4_0:
			half(at)
		case weights.Q4_1, weights.Q4_K, weights.Q5_K:
			half(at)
			half(at + 2)
		case weights.Q6_K:
			half(at + 208)
		}
	}
	return t
}

// randomModel puts random weights of a shape on b.
func randomModel(tb testing.TB, b backend.Backend, m shape, dtype, head weights.DType) {
	r := rand.New(rand.NewPCG(1, 2))
	must := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	linear := func(gated bool, parts ...weights.Tensor) backend.Linear {
		l, err := b.NewLinear(backend.LinearSpec{Name: "random", Parts: parts, Gated: gated})
		must(err)
		return l
	}
	buffer := func(n int) backend.Buffer {
		h, err := b.NewBuffer(n)
		must(err)
		return h
	}
	ones := weights.Tensor{Name: "norm", DType: weights.BF16, Shape: []int{m.hidden}}
	for range m.hidden {
		ones.Data = append(ones.Data, 0x80, 0x3f)
	}
	norm, err := b.NewVector(ones)
	must(err)
	inv := make([]float64, m.dim/2)
	for i := range inv {
		inv[i] = math.Pow(1e5, -float64(i)/float64(len(inv)))
	}
	rope, err := b.NewRope(backend.RopeSpec{Inv: inv, Scale: 1})
	must(err)
	must(b.NewKV(m.layers, m.kvHeads, m.dim))
	x, qkv, heads := buffer(m.hidden), buffer((m.heads+2*m.kvHeads)*m.dim), buffer(m.heads*m.dim)
	normed, between := buffer(m.hidden), buffer(m.ffn)
	table := linear(false, randomTensor(r, head, m.vocab, m.hidden))
	type layer struct{ qkv, out, gateUp, down backend.Linear }
	layers := make([]layer, m.layers)
	for i := range layers {
		layers[i] = layer{
			linear(false, randomTensor(r, dtype, (m.heads+2*m.kvHeads)*m.dim, m.hidden)),
			linear(false, randomTensor(r, dtype, m.hidden, m.heads*m.dim)),
			linear(true, randomTensor(r, dtype, m.ffn, m.hidden), randomTensor(r, dtype, m.ffn, m.hidden)),
			linear(false, randomTensor(r, dtype, m.hidden, m.ffn)),
		}
	}
	a := backend.AttentionSpec{
		Heads: m.heads, KVHeads: m.kvHeads, HeadDim: m.dim, QNorm: backend.NoVector, KNorm: backend.NoVector, Sinks: backend.NoVector,
		Rope: rope, Scale: 0.125,
	}
	must(b.Build(func(p backend.Program) {
		p.Embed(x, table)
		for i, l := range layers {
			p.RMSNorm(normed, x, norm, 1e-5)
			p.Linear(qkv, normed, l.qkv, false)
			p.StoreKV(qkv, i, a)
			p.Attention(heads, qkv, i, a)
			p.Linear(x, heads, l.out, true)
			p.RMSNorm(normed, x, norm, 1e-5)
			p.GatedMLP(between, normed, l.gateUp)
			p.Linear(x, between, l.down, true)
		}
		p.Logits(x, norm, 1e-5, table)
	}))
}

// BenchmarkSmolLM2 reports tokens a second of the forward alone.
func BenchmarkSmolLM2(b *testing.B) {
	sources := []struct {
		name string
		load func(backend.Backend)
	}{
		{"gguf", func(be backend.Backend) {
			loadModel(b, be, smollm2.Need(b))
		}},
		{"Q4_1", func(be backend.Backend) { randomModel(b, be, smolLM2, weights.Q4_1, weights.Q8_0) }},
		{"Q4_0", func(be backend.Backend) { randomModel(b, be, smolLM2, weights.Q4_0, weights.Q8_0) }},
		{"Q8_0", func(be backend.Backend) { randomModel(b, be, smolLM2, weights.Q8_0, weights.Q8_0) }},
		{"Q4_K", func(be backend.Backend) { randomModel(b, be, blocks256, weights.Q4_K, weights.Q6_K) }},
		{"BF16", func(be backend.Backend) { randomModel(b, be, smolLM2, weights.BF16, weights.BF16) }},
	}
	for _, source := range sources {
		for _, isa := range kernels.Supported()[1:] {
			for _, threads := range []int{1, 2} {
				cfg := backend.Config{MaxRows: 128, MaxSeqs: 16, MaxContext: 1024, Pages: 512, Threads: threads}
				b.Run(fmt.Sprintf("%s/%s/threads=%d", source.name, isa, threads), func(b *testing.B) {
					be, err := cpu.NewWithISA(cfg, isa)
					if err != nil {
						b.Fatal(err)
					}
					defer be.Close()
					source.load(be)
					touchPages(b, be, cfg)
					b.Run("prefill=512", func(b *testing.B) { benchPrefill(b, be, cfg, 512) })
					for _, batch := range []int{1, 4, 16} {
						b.Run(fmt.Sprint("decode=", batch), func(b *testing.B) { benchDecode(b, be, cfg, batch) })
					}
				})
			}
		}
	}
}

// BenchmarkBusyCore is BenchmarkSmolLM2 while another process keeps the second
// core busy: two threads must not be slower than one.
func BenchmarkBusyCore(b *testing.B) {
	hog := exec.Command("taskset", "-c", "1", "sh", "-c", "while :; do :; done")
	if err := hog.Start(); err != nil {
		b.Skipf("no process can be bound to a core: %v", err)
	}
	defer func() {
		hog.Process.Kill()
		hog.Wait()
	}()
	for _, threads := range []int{1, 2} {
		cfg := backend.Config{MaxRows: 128, MaxSeqs: 16, MaxContext: 1024, Pages: 512, Threads: threads}
		be, err := cpu.New(cfg)
		if err != nil {
			b.Fatal(err)
		}
		defer be.Close()
		loadModel(b, be, smollm2.Need(b))
		touchPages(b, be, cfg)
		b.Run(fmt.Sprintf("threads=%d/prefill=512", threads), func(b *testing.B) { benchPrefill(b, be, cfg, 512) })
		b.Run(fmt.Sprintf("threads=%d/decode=1", threads), func(b *testing.B) { benchDecode(b, be, cfg, 1) })
		b.Run(fmt.Sprintf("threads=%d/decode=16", threads), func(b *testing.B) { benchDecode(b, be, cfg, 16) })
	}
}

func ids(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(7*i%1000 + 3)
	}
	return list
}

func feed(b *testing.B, d *backendtest.Driver, parts ...backendtest.Part) {
	if err := d.Fill(parts...); err != nil {
		b.Fatal(err)
	}
	if err := d.B.Forward(); err != nil {
		b.Fatal(err)
	}
}

// touchPages has the system give every page of KV its memory, which it does at
// first use, a good deal slower than a step.
func touchPages(b *testing.B, be backend.Backend, cfg backend.Config) {
	d := backendtest.NewDriver(be, cfg, 1)
	seqs := make([]backendtest.Sequence, cfg.MaxSeqs)
	tokens := ids(cfg.MaxRows)
	for at := 0; at < cfg.Pages*backend.PageTokens; at += cfg.MaxRows {
		feed(b, d, backendtest.Part{Seq: &seqs[at/cfg.MaxContext], Tokens: tokens})
	}
}

// benchPrefill feeds a prompt in chunks of MaxRows.
func benchPrefill(b *testing.B, be backend.Backend, cfg backend.Config, n int) {
	d := backendtest.NewDriver(be, cfg, 1)
	tokens := ids(n)
	prefill := func() {
		s := &backendtest.Sequence{}
		for at := 0; at < n; at += cfg.MaxRows {
			want := 0
			if at+cfg.MaxRows >= n {
				want = 1
			}
			feed(b, d, backendtest.Part{Seq: s, Tokens: tokens[at:min(at+cfg.MaxRows, n)], Want: want})
		}
		d.Free(s)
	}
	for b.Loop() {
		prefill()
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "tok/s")
}

// benchDecode adds a token to each of so many sequences, at depths 64 to 192.
func benchDecode(b *testing.B, be backend.Backend, cfg backend.Config, sequences int) {
	d := backendtest.NewDriver(be, cfg, 1)
	seqs := make([]backendtest.Sequence, sequences)
	parts := make([]backendtest.Part, sequences)
	one, prompt := ids(1), ids(64)
	restart := func() {
		for i := range seqs {
			d.Free(&seqs[i])
			seqs[i].Slot = i
			feed(b, d, backendtest.Part{Seq: &seqs[i], Tokens: prompt})
			parts[i] = backendtest.Part{Seq: &seqs[i], Tokens: one, Want: 1}
		}
	}
	restart()
	for b.Loop() {
		if seqs[0].Length >= 192 {
			b.StopTimer()
			restart()
			b.StartTimer()
		}
		feed(b, d, parts...)
	}
	b.ReportMetric(float64(b.N*sequences)/b.Elapsed().Seconds(), "tok/s")
}
