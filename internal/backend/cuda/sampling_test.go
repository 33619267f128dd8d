//go:build cuda && cgo && linux

package cuda

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"unsafe"

	"github.com/reasond/reasond/internal/backend"
	driver "github.com/reasond/reasond/internal/cuda"
	"github.com/reasond/reasond/internal/cuda/cudatest"
	"github.com/reasond/reasond/internal/engine/sample"
	"github.com/reasond/reasond/internal/llm"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// near is how close to a boundary of the definition's distribution a uniform
// number, a mass or a weight may be where the device draws another token.
const near = 1e-5

// samplingRig is the device's sampling with the logits in the test's hands, and
// beside it the definition, package sample.
type samplingRig struct {
	t      *testing.T
	s      *sampling
	mem    *memory
	runs   map[int]*driver.Launches
	load   func([]kernels.Launch) (*driver.Launches, error)
	at     kernels.Sampling
	host   *sample.Slots
	bound  []backend.Slot // what each slot was set to, with all that was generated
	draws  int
	apart  int // draws that differ within near of a boundary
	stride int
}

func newSamplingRig(t *testing.T, maxSeqs, vocab int) *samplingRig {
	t.Helper()
	b := openDevice(t, backend.Config{MaxRows: maxSeqs, MaxSeqs: maxSeqs, MaxContext: backend.PageTokens, Pages: 1})
	r := &samplingRig{
		t: t, mem: &b.mem, runs: map[int]*driver.Launches{}, load: b.bind,
		host: sample.NewSlots(maxSeqs, nil), bound: make([]backend.Slot, maxSeqs), stride: vocab + 3,
	}
	for _, part := range []struct {
		at    *kernels.Ptr
		bytes int
	}{
		{&r.at.Count, 4}, {&r.at.Samples, 16 * maxSeqs}, {&r.at.Masks, 4 * maxSeqs * words(vocab)}, {&r.at.Logits, 4 * maxSeqs * r.stride},
	} {
		p, err := b.mem.alloc(activationMemory, int64(part.bytes))
		must(t, err)
		*part.at = p
	}
	r.at.Vocab, r.at.Stride = vocab, r.stride
	var err error
	r.s, err = newSampling(&b.mem, maxSeqs, r.at, b.bind)
	must(t, err)
	return r
}

// openDevice is an empty backend on the tests' device; the calling goroutine is
// its thread's until the test ends.
func openDevice(t *testing.T, cfg backend.Config) *Backend {
	t.Helper()
	b, err := New(Options{Driver: cudatest.Driver(t), BLAS: "none"}, cfg)
	must(t, err)
	t.Cleanup(func() { must(t, b.Close()) })
	must(t, b.enter())
	t.Cleanup(b.leave)
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func words(vocab int) int { return (vocab + 31) / 32 }

func raw[T any](s []T) []byte {
	var one T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(one)))
}

func (r *samplingRig) set(slot int, v backend.Slot) {
	r.s.set(slot, v)
	r.host.Set(slot, v)
	v.Generated = slices.Clone(v.Generated)
	r.bound[slot] = v
}

// sample does samples of rows on the device, in launches made for bucket rows.
func (r *samplingRig) sample(rows [][]float32, samples []backend.Sample, masks []uint32, bucket int) []backend.Sampled {
	r.t.Helper()
	on := r.mem.stream
	for i, row := range rows {
		must(r.t, on.CopyIn(r.at.Logits+kernels.Ptr(4*i*r.stride), raw(row)))
	}
	list := make([]int32, 0, 4*len(samples))
	for _, s := range samples {
		masked := int32(0)
		if s.Masked {
			masked = 1
		}
		list = append(list, s.Slot, s.Logits, s.Pos, masked)
	}
	must(r.t, on.CopyIn(r.at.Samples, raw(list)))
	must(r.t, on.CopyIn(r.at.Masks, raw(masks)))
	must(r.t, on.CopyIn(r.at.Count, raw([]int32{int32(len(samples))})))
	must(r.t, r.s.flush())
	if r.runs[bucket] == nil {
		launches, err := r.s.launches(bucket)
		must(r.t, err)
		r.runs[bucket], err = r.load(launches)
		must(r.t, err)
	}
	must(r.t, on.Launch(r.runs[bucket]))
	b := &backend.Batch{Samples: samples, Sampled: make([]backend.Sampled, 0, len(samples))}
	must(r.t, r.s.copyOut(bucket))
	must(r.t, r.s.copyLikely(b))
	must(r.t, on.Sync())
	r.s.collect(b)
	return b.Sampled
}

// step samples on the device and by the definition and compares.
func (r *samplingRig) step(rows [][]float32, samples []backend.Sample, masks []uint32, bucket int) {
	r.t.Helper()
	got := r.sample(rows, samples, masks, bucket)
	b := backend.Batch{
		LogitRows: make([]int32, len(rows)), Samples: samples, Sampled: make([]backend.Sampled, 0, len(samples)),
		Masks: masks, MaskWords: words(r.at.Vocab),
	}
	must(r.t, r.host.Sample(&b, func(i int) []float32 { return rows[i] }))
	for i, want := range b.Sampled {
		s := samples[i]
		r.compare(rows[s.Logits], s, masks[i*words(r.at.Vocab):][:words(r.at.Vocab)], got[i], want)
	}
}

func (r *samplingRig) compare(row []float32, s backend.Sample, mask []uint32, got, want backend.Sampled) {
	r.t.Helper()
	slot := &r.bound[s.Slot]
	r.draws++
	if want.Err != nil || got.Err != nil {
		if !errors.Is(got.Err, want.Err) {
			r.t.Fatalf("slot %d: %v, must be %v; %+v", s.Slot, got.Err, want.Err, slot.Params)
		}
		return
	}
	if !s.Masked {
		mask = nil
	}
	same := got.Token == want.Token
	if !same {
		if m := margin(row, *slot, mask, s.Pos); m > near {
			r.t.Fatalf("slot %d at %d of %d ids: token %d, must be %d (%g from a boundary); %+v",
				s.Slot, s.Pos, len(row), got.Token, want.Token, m, slot.Params)
		}
		r.apart++
	}
	if len(got.Top) != len(want.Top) || same && !close32(got.Logprob, want.Logprob) {
		r.t.Fatalf("slot %d: %+v, must be %+v", s.Slot, got, want)
	}
	for k, top := range want.Top {
		if got.Top[k].ID != top.ID || !close32(got.Top[k].Logprob, top.Logprob) {
			r.t.Fatalf("slot %d: top %v, must be %v", s.Slot, got.Top, want.Top)
		}
	}
	slot.Generated = append(slot.Generated, want.Token)
	if !same { // both go on from the definition's token
		r.set(int(s.Slot), *slot)
	}
}

func close32(a, b float32) bool { return a == b || math.Abs(float64(a-b)) < 1e-5 }

// margin is how far the definition's draw is from one that gives another token:
// the distance of the uniform number from a boundary between two tokens, of the
// mass before or behind top-p's cut from what it asks for, of a weight from min-p.
func margin(row []float32, s backend.Slot, mask []uint32, pos int32) float64 {
	p := &s.Params
	v := adjustedRow(row, s, mask)
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(v[b], v[a]), cmp.Compare(a, b)) })
	if p.Temperature < greedyBelow {
		return math.Inf(1)
	}
	w, total, least, kept := make([]float64, len(v)), 0.0, math.Inf(1), 0
	for _, i := range order {
		x := math.Exp(float64(v[i]-v[order[0]]) / p.Temperature)
		if v[i] == v[order[0]] {
			x = 1
		}
		if p.MinP > 0 && x < 1 {
			least = min(least, math.Abs(x-p.MinP))
		}
		if x < p.MinP || x == 0 || p.TopK > 0 && kept == p.TopK {
			continue
		}
		w[i] = x
		total += x
		kept++
	}
	if p.TopP < 1 {
		sum, all := 0.0, total
		for _, i := range order {
			if sum > 0 && sum >= p.TopP*all {
				total -= w[i]
				w[i] = 0
				continue
			}
			sum += w[i]
			least = min(least, math.Abs(sum/all-p.TopP))
		}
	}
	u, sum := sample.Uniform(p.Seed, s.Choice, int(pos)), 0.0
	for _, x := range w {
		if sum += x; x > 0 {
			least = min(least, math.Abs(sum/total-u))
		}
	}
	return least
}

// adjustedRow is a row after bias, penalties, min_tokens and mask.
func adjustedRow(row []float32, s backend.Slot, mask []uint32) []float32 {
	p, v := &s.Params, slices.Clone(row)
	times, seen := map[int32]int{}, map[int32]bool{}
	for id, bias := range p.LogitBias {
		v[id] += bias
	}
	for _, id := range s.Prompt {
		seen[id] = true
	}
	for _, id := range s.Generated {
		seen[id] = true
		times[id]++
	}
	for id := range seen {
		if x := &v[id]; p.RepetitionPenalty > 0 && *x > 0 {
			*x /= float32(p.RepetitionPenalty)
		} else if p.RepetitionPenalty > 0 {
			*x *= float32(p.RepetitionPenalty)
		}
		if n := times[id]; n > 0 {
			v[id] -= float32(p.FrequencyPenalty * float64(n))
			v[id] -= float32(p.PresencePenalty)
		}
	}
	if len(s.Generated) < p.MinTokens {
		for _, id := range slices.Concat(s.EOS, p.StopIDs) {
			v[id] = float32(math.Inf(-1))
		}
	}
	for i := range v {
		if mask != nil && mask[i/32]>>(i%32)&1 == 0 {
			v[i] = float32(math.Inf(-1))
		}
	}
	return v
}

// Law: whatever the parameters, the device samples what package sample does from
// the same logits, step after step, whatever else is in the batch.
func TestSamplingIsTheDefinitions(t *testing.T) {
	for _, c := range []struct{ vocab, rounds, steps int }{
		{1, 2, 2}, {5, 6, 4}, {33, 6, 4}, {128, 12, 5}, {1000, 12, 5}, {4097, 6, 3}, {9000, 4, 2},
	} {
		sampledAsDefined(t, c.vocab, c.rounds, c.steps)
	}
}

func sampledAsDefined(t *testing.T, vocab, rounds, steps int) {
	const slots = 8
	rng := rand.New(rand.NewPCG(uint64(vocab), 7))
	r := newSamplingRig(t, slots, vocab)
	for range rounds {
		for slot := range slots {
			r.set(slot, randomSlot(rng, vocab))
		}
		for pos := range steps {
			r.randomStep(rng, pos)
		}
	}
	t.Logf("vocabulary %d: %d draws, %d apart within %g", vocab, r.draws, r.apart, near)
	if r.apart*500 > r.draws {
		t.Errorf("vocabulary %d: %d of %d draws differ at a boundary", vocab, r.apart, r.draws)
	}
}

// Law: the order in which threads, warps and blocks run changes nothing.
func TestSamplingInOtherThreadOrders(t *testing.T) {
	openDevice(t, backend.Config{MaxRows: 1, MaxSeqs: 1, MaxContext: backend.PageTokens, Pages: 1})
	if !cudatest.Present() {
		t.Skip("the order of threads is chosen on the emulated driver alone")
	}
	own := cmp.Or(os.Getenv("EMU_ORDER"), "forward")
	t.Cleanup(func() { must(t, cudatest.SetOrder(own)) })
	for _, order := range []string{"reverse", "seed:1"} {
		must(t, cudatest.SetOrder(order))
		t.Run(order, func(t *testing.T) {
			sampledAsDefined(t, 128, 4, 3)
			sampledAsDefined(t, 3000, 3, 2)
			t.Run("ties", TestTiesAreCutByID)
			t.Run("bindings", TestBindingsBeyondTheInbox)
		})
	}
}

// Law: large vocabularies too, where a row has many blocks and passes.
func TestSamplingFromLargeVocabularies(t *testing.T) {
	const vocab = 49152
	rng := rand.New(rand.NewPCG(4, 9))
	r := newSamplingRig(t, 4, vocab)
	for slot := range 4 {
		r.set(slot, randomSlot(rng, vocab))
	}
	r.randomStep(rng, 0)
	r.randomStep(rng, 1)
}

// randomStep samples some of the slots, in any order, from random rows.
func (r *samplingRig) randomStep(rng *rand.Rand, pos int) {
	r.t.Helper()
	slots := rng.Perm(len(r.bound))[:1+rng.IntN(len(r.bound))]
	rows := make([][]float32, len(slots))
	for i := range rows {
		rows[i] = randomRow(rng, r.at.Vocab)
	}
	masks := make([]uint32, len(slots)*words(r.at.Vocab))
	for i := range masks {
		masks[i] = rng.Uint32() & rng.Uint32()
	}
	perm := rng.Perm(len(rows))
	samples := make([]backend.Sample, len(slots))
	for i, slot := range slots {
		samples[i] = backend.Sample{Slot: int32(slot), Logits: int32(perm[i]), Pos: int32(pos), Masked: rng.IntN(4) == 0}
	}
	bucket := len(slots)
	if rng.IntN(2) == 0 {
		bucket = len(r.bound)
	}
	r.step(rows, samples, masks, bucket)
}

func randomRow(rng *rand.Rand, vocab int) []float32 {
	spreads := []float64{0, 0.5, 3, 3, 10}
	row, spread := make([]float32, vocab), spreads[rng.IntN(len(spreads))]
	ties := rng.IntN(4)
	for i := range row {
		row[i] = float32(rng.NormFloat64() * spread)
		if ties == 0 {
			row[i] = float32(math.Round(float64(row[i])))
		}
	}
	if rng.IntN(40) == 0 {
		row[rng.IntN(vocab)] = float32(math.NaN())
	}
	if rng.IntN(10) == 0 {
		row[rng.IntN(vocab)] = float32(math.Inf(rng.IntN(3) - 1))
	}
	return row
}

func randomSlot(rng *rand.Rand, vocab int) backend.Slot {
	pick := func(v ...float64) float64 { return v[rng.IntN(len(v))] }
	ids := func(n int) (list []int32) {
		for range rng.IntN(n + 1) {
			list = append(list, int32(rng.IntN(vocab)))
		}
		return list
	}
	s := backend.Slot{Choice: rng.IntN(3), Prompt: ids(20), Generated: ids(20), EOS: ids(2)}
	s.Params = llm.SamplingParams{
		Temperature: pick(0, 0.3, 0.6, 1, 1, 2), TopK: int(pick(0, 0, 1, 3, 20, 50, 2000, 5000)), TopP: pick(0, 0.1, 0.5, 0.9, 0.95, 0.99, 1, 1),
		MinP: pick(0, 0, 0.05, 0.5, 1), RepetitionPenalty: pick(1, 1, 1.3, 0.7), PresencePenalty: pick(0, 0, 0.8, -1),
		FrequencyPenalty: pick(0, 0, 0.4), Seed: rng.Uint64(), MinTokens: int(pick(0, 0, 10, 22)), StopIDs: ids(2),
		Logprobs: rng.IntN(3) == 0, TopLogprobs: rng.IntN(21),
	}
	if rng.IntN(3) == 0 {
		s.Params.LogitBias = map[int32]float32{}
		for _, id := range ids(40) {
			s.Params.LogitBias[id] = float32(pick(3, 1, -2, -100))
		}
	}
	return s
}

// Law: a row that cannot be sampled says why, and no other row notices.
func TestBadRowsFailAlone(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	negative := math.Float32frombits(math.Float32bits(nan) | 1<<31)
	r := newSamplingRig(t, 3, 3)
	for _, c := range []struct {
		name   string
		logits []float32
		mask   uint32
		err    error
		token  int32
	}{
		{"NaN first", []float32{nan, 1, 2}, 7, sample.ErrNaN, 0},
		{"NaN last", []float32{0, 1, nan}, 7, sample.ErrNaN, 0},
		{"negative NaN", []float32{0, negative, 2}, 7, sample.ErrNaN, 0},
		{"NaN behind a mask", []float32{0, 1, nan}, 3, sample.ErrNaN, 0},
		{"all -Inf", []float32{-inf, -inf, -inf}, 7, sample.ErrNothing, 0},
		{"empty mask", []float32{1, 2, 3}, 0, sample.ErrNothing, 0},
		{"+Inf wins", []float32{3, inf, 2}, 7, nil, 1},
		{"-Inf never", []float32{-inf, -inf, -1e30}, 7, nil, 2},
		{"huge", []float32{math.MaxFloat32, -math.MaxFloat32, 0}, 7, nil, 0},
	} {
		for _, p := range []llm.SamplingParams{
			{}, {Temperature: 1, TopP: 1}, {Temperature: 1, TopP: 1, TopK: 2}, {Temperature: 1, TopP: 0.9}, {Temperature: 1e-300, TopP: 1},
			{Temperature: 1, TopP: 1, Logprobs: true, TopLogprobs: 3}, {Temperature: 1, TopP: 1, PresencePenalty: 1},
		} {
			good := []float32{0, 5, 1}
			for slot := range 3 {
				r.set(slot, backend.Slot{Params: p, Generated: []int32{0}})
			}
			samples := []backend.Sample{{Slot: 0, Logits: 0, Pos: 9}, {Slot: 1, Logits: 1, Pos: 9, Masked: c.mask != 7}, {Slot: 2, Logits: 2, Pos: 9}}
			rows, masks := [][]float32{good, c.logits, good}, []uint32{7, c.mask, 7}
			r.step(rows, samples, masks, 3)
			want := slices.Clone(r.bound[1].Generated)
			r.step(rows, samples, masks, 3) // a failed row has changed nothing of its slot
			if c.err != nil && len(r.bound[1].Generated) != len(want) || c.err == nil && want[len(want)-1] != c.token {
				t.Errorf("%s, %+v: sampled %v", c.name, p, want)
			}
		}
	}
}

// Law: equal values, more of them than a cut gathers at once, are cut by id.
func TestTiesAreCutByID(t *testing.T) {
	const vocab = 3000
	row := make([]float32, vocab)
	for i := 100; i < 200; i++ {
		row[i] = 1
	}
	r := newSamplingRig(t, 4, vocab)
	for _, p := range []llm.SamplingParams{
		{Temperature: 1, TopP: 1, TopK: 1500}, {Temperature: 1, TopP: 0.5}, {Temperature: 1, TopP: 0.3, TopK: 2500}, {Temperature: 1e-4, TopP: 0.999},
		{Temperature: 1, TopP: 1, TopK: 99}, {Temperature: 1, TopP: 1, MinP: 1}, {Temperature: 1, TopP: 1, Logprobs: true, TopLogprobs: 20},
	} {
		for slot := range 4 {
			p.Seed = uint64(slot)
			r.set(slot, backend.Slot{Params: p})
		}
		for pos := range int32(3) {
			var samples []backend.Sample
			for slot := range int32(4) {
				samples = append(samples, backend.Sample{Slot: slot, Pos: pos})
			}
			r.step([][]float32{row}, samples, make([]uint32, 4*words(vocab)), 4)
		}
	}
	if r.apart > 0 {
		t.Errorf("%d draws differ from the definition's", r.apart)
	}
}

// Law: top-k and top-p hold in distribution: every token that the definition may
// draw is drawn, no other one is. Law of the seed: equal seeds give equal tokens.
func TestDrawsReachAllThatIsKept(t *testing.T) {
	row := []float32{1, 3, 3, 2, 3, 2, -5}
	r := newSamplingRig(t, 8, len(row))
	for k, want := range map[int][]int32{1: {1}, 2: {1, 2}, 4: {1, 2, 3, 4}} {
		seen := map[int32]bool{}
		for round := range 12 {
			var samples []backend.Sample
			for slot := range 8 {
				p := llm.DefaultSampling()
				p.TopK, p.Seed = k, uint64(8*round+slot)
				r.set(slot, backend.Slot{Params: p})
				samples = append(samples, backend.Sample{Slot: int32(slot), Pos: int32(round)})
			}
			r.step([][]float32{row}, samples, make([]uint32, 8), 8)
			for slot := range 8 {
				seen[r.bound[slot].Generated[0]] = true
			}
		}
		for _, id := range want {
			if !seen[id] || len(seen) != len(want) {
				t.Errorf("top_k %d drew %v, want %v", k, seen, want)
			}
		}
	}
}

// Law: the device keeps the last token of every slot for the next step.
func TestLastTokenStaysOnTheDevice(t *testing.T) {
	r := newSamplingRig(t, 3, 40)
	r.set(0, backend.Slot{Prompt: []int32{4, 9}})
	r.set(1, backend.Slot{Prompt: []int32{4}, Generated: []int32{3}})
	r.set(2, backend.Slot{})
	must(t, r.s.flush())
	last := func() []int32 {
		out := make([]int32, 3)
		must(t, r.mem.stream.CopyOut(raw(out), r.s.at.Last))
		must(t, r.mem.stream.Sync())
		return out
	}
	if got := last(); !slices.Equal(got, []int32{9, 3, 0}) {
		t.Errorf("set: last tokens %v", got)
	}
	row, bad := make([]float32, 40), make([]float32, 40)
	row[17], bad[5] = 1, float32(math.NaN())
	r.step([][]float32{row, bad}, []backend.Sample{{Slot: 1, Logits: 0}, {Slot: 0, Logits: 1}}, make([]uint32, 4), 3)
	if got := last(); !slices.Equal(got, []int32{9, 17, 0}) {
		t.Errorf("sampled: last tokens %v", got)
	}
}

// Law: a slot that served another sequence is as good as a new one, and of two
// bindings before a step the second counts.
func TestSlotsForgetTheirLastSequence(t *testing.T) {
	const vocab = 300
	rng := rand.New(rand.NewPCG(2, 2))
	r := newSamplingRig(t, 2, vocab)
	heavy := randomSlot(rng, vocab)
	heavy.Params.LogitBias = map[int32]float32{}
	for id := range int32(200) {
		heavy.Params.LogitBias[id] = -50
	}
	heavy.Params.FrequencyPenalty, heavy.Prompt = 2, []int32{250, 251}
	for range 6 {
		r.set(0, heavy)
		r.randomStep(rng, 1)
		r.set(0, randomSlot(rng, vocab))
		r.set(0, backend.Slot{Params: llm.SamplingParams{PresencePenalty: 1, RepetitionPenalty: 1}})
		r.randomStep(rng, 2)
		r.randomStep(rng, 3)
	}
}

// Law: more bindings than the inbox holds at once arrive all the same.
func TestBindingsBeyondTheInbox(t *testing.T) {
	const vocab, slots = 500, 6
	rng := rand.New(rand.NewPCG(3, 3))
	r := newSamplingRig(t, slots, vocab)
	all := make([]int32, vocab)
	for i := range all {
		all[i] = int32(i)
	}
	for slot := range slots {
		v := randomSlot(rng, vocab)
		v.Prompt, v.Params.RepetitionPenalty, v.Params.LogitBias = all, 1.2, map[int32]float32{}
		for id := range int32(vocab) {
			v.Params.LogitBias[id] = float32(id) / 100
		}
		r.set(slot, v)
	}
	for pos := range 3 {
		r.randomStep(rng, pos)
	}
}

// Law: the device counts what it samples: min_tokens ends by itself, penalties grow.
func TestDeviceCountsWhatItSamples(t *testing.T) {
	r := newSamplingRig(t, 1, 4)
	p := llm.SamplingParams{FrequencyPenalty: 0.15, MinTokens: 2, RepetitionPenalty: 1}
	r.set(0, backend.Slot{Params: p, EOS: []int32{1}})
	for pos := range int32(6) {
		r.step([][]float32{{0, 5, 4.9, 4.8}}, []backend.Sample{{Pos: pos}}, make([]uint32, 1), 1)
	}
	if want := []int32{2, 3, 1, 1, 2, 1}; !slices.Equal(r.bound[0].Generated, want) || r.apart > 0 {
		t.Errorf("sampled %v, want %v", r.bound[0].Generated, want)
	}
}

// Law: samples that a kernel could not do safely are refused.
func TestSamplesAreChecked(t *testing.T) {
	r := newSamplingRig(t, 4, 40)
	for name, samples := range map[string][]backend.Sample{
		"slot beyond":   {{Slot: 4}},
		"slot before":   {{Slot: -1}},
		"slot twice":    {{Slot: 1}, {Slot: 2}, {Slot: 1}},
		"row beyond":    {{Logits: 3}},
		"row before":    {{Logits: -1}},
		"without mask":  {{}, {Slot: 1, Masked: true}},
		"too many":      {{Slot: 0}, {Slot: 1}, {Slot: 2}, {Slot: 3}, {Slot: 3}},
		"":              {{Slot: 2, Logits: 2}, {Slot: 0, Logits: 0, Masked: false}},
		"with its mask": {{Slot: 3, Masked: true}},
	} {
		b := &backend.Batch{Samples: samples, Sampled: make([]backend.Sampled, 0, 4), Masks: make([]uint32, 2), MaskWords: 2}
		err := r.s.check(b, 3)
		if good := name == "" || name == "with its mask"; good != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Law: a sequence that needs memory that is not there fails alone.
func TestNoMemoryForATableFailsOneRow(t *testing.T) {
	r := newSamplingRig(t, 2, 40)
	r.set(0, backend.Slot{})
	r.s.set(1, backend.Slot{Params: llm.SamplingParams{FrequencyPenalty: 1}})
	full := errors.New("full")
	table := r.s.take
	r.s.take = func(int64) (kernels.Ptr, error) { return 0, full }
	row := make([]float32, 40)
	row[7] = 1
	samples := []backend.Sample{{Slot: 1}, {Slot: 0}}
	got := r.sample([][]float32{row}, samples, make([]uint32, 4), 2)
	if !errors.Is(got[0].Err, full) || got[1].Err != nil || got[1].Token != 7 {
		t.Errorf("%+v", got)
	}
	r.s.take = table
	r.set(1, backend.Slot{Params: llm.SamplingParams{FrequencyPenalty: 1}})
	r.step([][]float32{row}, samples, make([]uint32, 4), 2)
}
