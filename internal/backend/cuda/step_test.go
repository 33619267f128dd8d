//go:build cuda && cgo && linux

package cuda

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/backendtest"
	"github.com/reasond/reasond/internal/cuda/cudatest"
	"github.com/reasond/reasond/internal/llm"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

var smallConfig = backend.Config{MaxRows: 128, MaxSeqs: 8, MaxContext: 512, Pages: 40} // long enough that attention may be cut

// run is a step without a look at its logits.
func run(t testing.TB, b *Backend) {
	t.Helper()
	for _, f := range []func() error{b.Forward, b.Sample, b.Sync} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
}

// counted is what the device did in f. It skips where nobody counts.
func counted(t *testing.T, f func()) cudatest.Counters {
	t.Helper()
	if !cudatest.Present() {
		t.Skip("only the emulated driver counts")
	}
	cudatest.Reset()
	f()
	return cudatest.Read()[0]
}

// decoding fills the batch with one row of each of n sequences that have a prompt
// behind them.
func decoding(t *testing.T, b *Backend, n int) {
	t.Helper()
	d := backendtest.NewDriver(b, smallConfig, 1)
	var parts []backendtest.Part
	for i := range n {
		s := &backendtest.Sequence{Slot: i}
		b.SetSlot(i, backend.Slot{})
		if _, err := d.Step(backendtest.Part{Seq: s, Tokens: tokens(5 + 30*i%60), Want: 1, Sample: true}); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, backendtest.Part{Seq: s, Tokens: []int32{^int32(i)}, Want: 1, Sample: true})
	}
	if err := d.Fill(parts...); err != nil {
		t.Fatal(err)
	}
}

func tokens(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(3 + i*7%90)
	}
	return ids
}

func TestAPlainDecodeStepIsOneGraphAndCopiesBackOnlyIDs(t *testing.T) {
	b := smallModel(t, Options{}, smallConfig)
	decoding(t, b, 3)
	run(t, b)
	c := counted(t, func() { run(t, b) })
	if c.GraphLaunches != 1 || c.DirectLaunches != 0 {
		t.Errorf("%d graphs and %d launches beside them, must be one graph", c.GraphLaunches, c.DirectLaunches)
	}
	if c.CopiesOut != 1 || c.BytesOut != 3*4 || c.CopiesIn != 1 || c.Syncs != 1 || c.Allocations != 0 {
		t.Errorf("%d bytes back in %d copies, %d copies there, %d waits, %d allocations: %+v",
			c.BytesOut, c.CopiesOut, c.CopiesIn, c.Syncs, c.Allocations, c)
	}
}

// With guided rows the forward begins at once and the masks come in between.
func TestAGuidedStepIsTwoGraphsWithTheMasksBetween(t *testing.T) {
	b := smallModel(t, Options{}, smallConfig)
	decoding(t, b, 2)
	run(t, b)
	batch := b.Batch()
	batch.Guided = true
	c := counted(t, func() {
		if err := b.Forward(); err != nil {
			t.Fatal(err)
		}
		if n := cudatest.Read()[0].GraphLaunches; n != 1 {
			t.Errorf("%d graphs were launched by Forward, must be one", n)
		}
		batch.Masks = batch.Masks[:2*batch.MaskWords]
		clear(batch.Masks)
		batch.Masks[batch.MaskWords] = 1 << 17
		batch.Samples[1].Masked = true
		if err := b.Sample(); err != nil {
			t.Fatal(err)
		}
		if err := b.Sync(); err != nil {
			t.Fatal(err)
		}
	})
	if c.GraphLaunches != 2 || c.DirectLaunches != 0 || c.BytesOut != 2*4 {
		t.Errorf("%d graphs, %d launches, %d bytes back", c.GraphLaunches, c.DirectLaunches, c.BytesOut)
	}
	if id := batch.Sampled[1].Token; id != 17 {
		t.Errorf("the mask allows 17 alone, token %d was sampled", id)
	}
}

// Nothing is computed on the host: each op has its kernel, and only ids and wanted
// logits come back.
func TestEachOpLaunchesItsKernel(t *testing.T) {
	b := smallModel(t, Options{}, smallConfig)
	d := backendtest.NewDriver(b, smallConfig, 1)
	s := &backendtest.Sequence{}
	c := counted(t, func() {
		if err := d.Fill(backendtest.Part{Seq: s, Tokens: tokens(100), Want: 1, Sample: true}); err != nil {
			t.Fatal(err)
		}
		run(t, b)
	})
	for _, kernel := range []string{
		"embed_", "rmsnorm_", "gemm_", "linear_", "store_kv", "attention_prefill_", "attention_combine", "activate_interleaved_",
		"sample_best", "sample_draw",
	} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(c.Launches)), func(k string) bool { return strings.HasPrefix(k, kernel) }) {
			t.Errorf("no %s… was launched, only %v", kernel, c.Launches)
		}
	}
	if c.BytesOut != 4 {
		t.Errorf("%d bytes came back", c.BytesOut)
	}
	c = counted(t, func() {
		if err := d.Fill(backendtest.Part{Seq: s, Tokens: tokens(1), Want: 1, Sample: true}); err != nil {
			t.Fatal(err)
		}
		run(t, b)
	})
	if !slices.ContainsFunc(slices.Collect(maps.Keys(c.Launches)), func(k string) bool { return strings.HasPrefix(k, "attention_decode_") }) {
		t.Errorf("no attention of decoding: %v", c.Launches)
	}
}

// A bucket's graphs are for decoding: a prompt of as many rows has its own
// attention.
func TestAPromptIsNotRunByAGraphOfDecoding(t *testing.T) {
	cfg := backend.Config{MaxRows: 64, MaxSeqs: 64, MaxContext: 64, Pages: 4}
	b := smallModel(t, Options{}, cfg)
	d := backendtest.NewDriver(b, cfg, 1)
	if err := d.Fill(backendtest.Part{Seq: &backendtest.Sequence{}, Tokens: tokens(40), Want: 1, Sample: true}); err != nil {
		t.Fatal(err)
	}
	c := counted(t, func() { run(t, b) })
	if c.GraphLaunches != 0 || c.Launches["attention_prefill_16"] == 0 {
		t.Errorf("%d graphs, %v", c.GraphLaunches, c.Launches)
	}
}

// A row may be wanted, and sampled from, more than once: forks of one prompt.
func TestARowMayBeWantedTwice(t *testing.T) {
	b := smallModel(t, Options{}, smallConfig)
	decoding(t, b, 1)
	batch := b.Batch()
	for slot := int32(1); slot < 3; slot++ {
		b.SetSlot(int(slot), backend.Slot{})
		batch.LogitRows = append(batch.LogitRows, 0)
		batch.Samples = append(batch.Samples, backend.Sample{Slot: slot, Logits: slot, Pos: batch.Samples[0].Pos})
	}
	run(t, b)
	want := batch.Sampled[0]
	for i, s := range batch.Sampled {
		if s.Token != want.Token || s.Err != nil {
			t.Errorf("sample %d is %+v, the first %+v", i, s, want)
		}
	}
}

// Large products go to cuBLASLt where it is there, to the own kernel otherwise.
func TestLargeProductsGoToTheBLASThatIsThere(t *testing.T) {
	for _, c := range []struct {
		blas string
		own  bool
	}{{"none", true}, {cudatest.BLAS(t), false}} {
		b := smallModel(t, Options{BLAS: c.blas}, smallConfig)
		d := backendtest.NewDriver(b, smallConfig, 1)
		if err := d.Fill(backendtest.Part{Seq: &backendtest.Sequence{}, Tokens: tokens(100), Want: 1, Sample: true}); err != nil {
			t.Fatal(err)
		}
		n := counted(t, func() { run(t, b) })
		own := 0
		for kernel, times := range n.Launches {
			if strings.HasPrefix(kernel, "gemm_") {
				own += times
			}
		}
		if blas := n.Calls["cublasLtMatmul"]; (own > 0) != c.own || (blas > 0) == c.own {
			t.Errorf("with BLAS %q: %d own products, %d calls of cublasLtMatmul", c.blas, own, blas)
		}
	}
}

// A graph that was captured once is right for other lengths, pages and tokens, and
// reads nothing that an earlier step has left in activations or scratch memory.
func TestReplayIsRightWithOtherLengthsAndPoisonedScratch(t *testing.T) {
	follow := func(poison bool) (out [][]float32) {
		b := smallModel(t, Options{}, smallConfig)
		d := backendtest.NewDriver(b, smallConfig, 1)
		seqs := make([]backendtest.Sequence, 3)
		for round := range 6 {
			var parts []backendtest.Part
			for i := range seqs {
				n := 1
				if round == 0 {
					n = 1 + 35*i
				}
				seqs[i].Slot = i
				if (round+i)%3 != 2 {
					parts = append(parts, backendtest.Part{Seq: &seqs[i], Tokens: tokens(n), Want: 1, Sample: true})
				}
			}
			if poison {
				b.poison(t)
			}
			got, err := d.Step(parts...)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range got {
				out = append(out, r.Logits...)
			}
		}
		return out
	}
	clean, poisoned := follow(false), follow(true)
	for i := range clean {
		if !slices.Equal(clean[i], poisoned[i]) {
			t.Fatalf("row %d differs where scratch memory was poisoned", i)
		}
	}
}

// poison fills everything that a step may not read before it writes it with NaN.
func (b *Backend) poison(t *testing.T) {
	t.Helper()
	rows := int64(b.cfg.MaxRows)
	err := b.launch(func() error {
		fill := func(p kernels.Ptr, bytes int64) {
			if p != 0 {
				if err := b.stream.Memset(p, 0xff, bytes); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, list := range [][]*buffer{b.buffers, b.scratch} {
			for _, x := range list {
				fill(x.ptr, rows*int64(x.cols)*x.bytes())
			}
		}
		fill(b.logits.Ptr, 4*int64(b.cfg.LogitRows()*b.vocab))
		fill(b.partials, b.partialBytes)
		partials, _ := kernels.ScratchBytes(b.products.scratch.SMs)
		fill(b.products.scratch.Partials, partials)
		return b.stream.Sync()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestASteadyStepAllocatesNothing(t *testing.T) {
	b := smallModel(t, Options{}, smallConfig)
	decoding(t, b, 3)
	run(t, b)
	if n := testing.AllocsPerRun(20, func() { run(t, b) }); n > 0 {
		t.Errorf("a step allocates %v times", n)
	}
}

// A step may ask for log-probabilities: then they come back, and only then.
func TestLogProbabilitiesComeBackWhereTheyAreWanted(t *testing.T) {
	b := smallModel(t, Options{}, smallConfig)
	decoding(t, b, 2)
	b.SetSlot(1, backend.Slot{Params: llm.SamplingParams{Logprobs: true, TopLogprobs: 2}})
	run(t, b)
	c := counted(t, func() { run(t, b) })
	if c.CopiesOut != 2 || len(b.Batch().Sampled[1].Top) != 2 || len(b.Batch().Sampled[0].Top) != 0 {
		t.Errorf("%d copies, %+v", c.CopiesOut, b.Batch().Sampled)
	}
}

func TestALostDeviceSaysSoAndCanBeOpenedAnew(t *testing.T) {
	b := smallModel(t, Options{}, smallConfig)
	if !cudatest.Present() {
		t.Skip("faults are injected into the emulated driver alone")
	}
	decoding(t, b, 2)
	run(t, b)
	want := slices.Clone(b.Batch().Sampled)
	cudatest.Fault("store_kv", 1, 700)
	err := errors.Join(b.Forward(), b.Sample(), b.Sync())
	if !errors.Is(err, backend.ErrLost) || !strings.Contains(err.Error(), "ILLEGAL_ADDRESS") {
		t.Fatalf("an illegal address: %v", err)
	}
	if err := b.Forward(); err == nil {
		err = errors.Join(b.Sample(), b.Sync())
		if !errors.Is(err, backend.ErrLost) {
			t.Errorf("a step on a lost device: %v", err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	again := smallModel(t, Options{}, smallConfig)
	decoding(t, again, 2)
	run(t, again)
	if got := again.Batch().Sampled; got[0].Token != want[0].Token || got[1].Token != want[1].Token {
		t.Errorf("after opening anew %v, before %v", got, want)
	}
}

// Law of --batch-invariant: other sequences in the batch change no bit of a row,
// be it of a prompt or decoding. Attention's own part of it is tested in
// kernels/cuda.
func TestNeighboursChangeNoBitOfAnInvariantBackend(t *testing.T) {
	cfg := backend.Config{MaxRows: 256, MaxSeqs: 4, MaxContext: 128, Pages: 16}
	follow := func(others int) (out [][]float32) {
		b, err := New(Options{Driver: cudatest.Driver(t), BLAS: "none", BatchInvariant: true}, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		loadModel(t, b, "../../../testdata/tiny-reasoner")
		if !b.planner.Fixed {
			t.Error("attention is cut by what else is there")
		}
		d := backendtest.NewDriver(b, cfg, uint64(others))
		seqs := make([]backendtest.Sequence, 1+others)
		for round := range 3 {
			var parts []backendtest.Part
			for i := range seqs {
				n := 1
				if round == 0 {
					n = 48
				}
				seqs[i].Slot = i
				parts = append(parts, backendtest.Part{Seq: &seqs[i], Tokens: tokens(n), Want: 1, Sample: true})
			}
			last := len(parts) - 1
			parts[0], parts[last] = parts[last], parts[0] // at another place in the batch
			got, err := d.Step(parts...)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, got[last].Logits...)
		}
		return out
	}
	alone := follow(0)
	for i, row := range follow(2) {
		if !slices.Equal(row, alone[i]) {
			t.Fatalf("row %d differs beside others", i)
		}
	}
}

// BenchmarkDecodeStep is what the host does of a step; on the emulated driver the
// kernels' time is in it.
func BenchmarkDecodeStep(b *testing.B) {
	be := smallModel(b, Options{}, smallConfig)
	d := backendtest.NewDriver(be, smallConfig, 1)
	s := &backendtest.Sequence{}
	if err := d.Fill(backendtest.Part{Seq: s, Tokens: []int32{7}, Want: 1, Sample: true}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		run(b, be)
	}
}
