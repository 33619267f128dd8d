package backendtest

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

// OpenRanks makes the n empty backends of one tensor-parallel group. Each is
// driven by a goroutine of its own.
type OpenRanks func(cfg backend.Config, n int) ([]backend.Backend, error)

// eachRank runs f for every rank of a new group at once, and closes them.
func eachRank(t *testing.T, open OpenRanks, cfg backend.Config, n int, f func(rank int, b backend.Backend)) {
	t.Helper()
	group, err := open(cfg, n)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for rank, b := range group {
		wait.Go(func() { f(rank, b) })
	}
	wait.Wait()
	for _, b := range group {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Ranks checks what only a group does: embedding and head of a divided
// vocabulary, tied and not, sums and sampling; every rank has all logits and
// samples the same tokens.
func Ranks(t *testing.T, open OpenRanks, tol Tolerances) {
	for _, n := range []int{2, 4} {
		for _, d := range []weights.DType{weights.F32, weights.BF16, weights.Q8_0} {
			s := suite{nil, tol}
			t.Run(d.String(), func(t *testing.T) { s.dividedVocabulary(t, open, n, d) })
		}
	}
}

func (s suite) dividedVocabulary(t *testing.T, open OpenRanks, n int, d weights.DType) {
	const vocab, cols, eps = 64, 96, 1e-5
	rng := rand.New(rand.NewPCG(uint64(n), 2))
	table, head, norm := randomTensor(rng, d, vocab, cols), randomTensor(rng, d, vocab, cols), randomTensor(rng, weights.F32, cols)
	parts := make([][][]float32, n)
	sampled := make([][]int32, n)
	cfg := s.config()
	eachRank(t, open, cfg, n, func(rank int, b backend.Backend) {
		sh := weights.Shard{Rank: rank, Size: n}
		linear := func(t0 weights.Tensor) backend.Linear {
			part, err := sh.Cut(t0, weights.SplitColumn)
			if err != nil {
				t.Error(err)
			}
			l, err := b.NewLinear(backend.LinearSpec{Name: "table", Parts: []weights.Tensor{part}, Vocab: backend.VocabPart{First: vocab / n * rank, Total: vocab}})
			if err != nil {
				t.Error(err)
			}
			return l
		}
		x, err := b.NewBuffer(cols)
		v, err2 := b.NewVector(norm)
		e, h := linear(table), linear(head)
		err3 := b.NewKV(1, 1, 32)
		err4 := b.Build(func(p backend.Program) {
			p.Embed(x, e)
			p.AllReduce(x)
			p.Logits(x, v, eps, h)
		})
		for _, err := range []error{err, err2, err3, err4} {
			if err != nil {
				t.Error(err)
				return
			}
		}
		d := NewDriver(b, cfg, 3)
		ids := make([]int32, vocab)
		for i := range ids {
			ids[i] = int32(i)
		}
		seq := &Sequence{}
		b.SetSlot(0, backend.Slot{Params: llm.SamplingParams{Temperature: 1, Seed: 7, TopP: 1, RepetitionPenalty: 1}})
		got, err := d.Step(Part{Seq: seq, Tokens: ids, Want: vocab, Sample: true})
		for i := 0; err == nil; i++ {
			parts[rank] = append(parts[rank], got[0].Logits...)
			sampled[rank] = append(sampled[rank], got[0].Sampled.Token)
			if i == 6 {
				break
			}
			got, err = d.Step(Part{Seq: seq, Tokens: []int32{^int32(0)}, Want: 1, Sample: true})
		}
		if err != nil {
			t.Error(err)
		}
	})
	if t.Failed() {
		return
	}
	for rank := range n {
		for i, row := range matrix(table) {
			want := mul(matrix(head), rmsNorm(row, matrix(norm)[0], eps), nil)
			near(t, s.tol.of(d), parts[rank][i], want, "rank %d of %d, token %d", rank, n, i)
		}
		for i, row := range parts[rank] {
			same(t, row, parts[0][i], "rank %d of %d, row %d", rank, n, i)
		}
		for i, id := range sampled[rank] {
			if id != sampled[0][i] {
				t.Errorf("rank %d of %d sampled %d, the first rank %d", rank, n, id, sampled[0][i])
			}
		}
	}
}

// ModelRanks runs a model of testdata on n ranks: it must give the tokens of
// the golden and logits near them, with two all-reduces a layer and one behind
// the embedding, and no rank may hold more than share of the weights' bytes.
func ModelRanks(t *testing.T, open OpenRanks, folder, name string, n int, want Goldens, share float64) {
	m := readModel(t, folder, name)
	cfg := backend.Config{Float32: want.Float32, MaxRows: 160, MaxSeqs: 5, MaxContext: 256, Pages: 24}
	var whole int64
	eachRank(t, open, cfg, 1, func(_ int, b backend.Backend) {
		if _, _, err := loadRank(m.path, b, weights.Shard{}); err != nil {
			t.Error(err)
		}
		whole = b.Info().WeightBytes
	})
	runs := make([][][]float32, n)
	eachRank(t, open, cfg, n, func(rank int, b backend.Backend) {
		c, sums, err := loadRank(m.path, b, weights.Shard{Rank: rank, Size: n})
		if err != nil {
			t.Error(err)
			return
		}
		if sums != 2*c.Layers+1 {
			t.Errorf("%d all-reduces in %d layers", sums, c.Layers)
		}
		if part := float64(b.Info().WeightBytes) / float64(whole); part > share {
			t.Errorf("rank %d of %d holds %.3f of the weights' bytes, at most %.3f are allowed", rank, n, part, share)
		}
		runs[rank], err = m.greedy(NewDriver(b, cfg, 7), want)
		if err != nil {
			t.Errorf("rank %d of %d: %v", rank, n, err)
		}
	})
	if t.Failed() {
		return
	}
	at := 0
	for p, prompt := range m.prompts {
		for i := len(prompt.IDs) - 1; i < len(m.rows[p]); i++ {
			for rank := range n {
				near(t, want.Logits, runs[rank][at], m.rows[p][i], "rank %d of %d, prompt %d row %d", rank, n, p, i)
				same(t, runs[rank][at], runs[0][at], "rank %d of %d, prompt %d row %d", rank, n, p, i)
			}
			at++
		}
	}
}

// greedy prefills each prompt in two chunks and decodes; it returns the logits
// from each prompt's last row on. Sampled tokens must be the golden's where the
// golden's lead is clear.
func (m *randomModel) greedy(d *Driver, want Goldens) (rows [][]float32, err error) {
	run := modelRun{want: want}
	for p, prompt := range m.prompts {
		s, n := &Sequence{Slot: 1}, len(prompt.IDs)
		d.B.SetSlot(1, backend.Slot{Prompt: prompt.IDs})
		if half := n / 2; half > 0 {
			if _, err := d.Step(Part{Seq: s, Tokens: prompt.IDs[:half]}); err != nil {
				return nil, err
			}
		}
		got, err := d.Step(Part{Seq: s, Tokens: prompt.IDs[n/2:], Want: 1, Sample: true})
		for k := 0; err == nil; k++ {
			rows = append(rows, got[0].Logits[0])
			if k == len(prompt.Generated) {
				break
			}
			id, golden := got[0].Sampled.Token, prompt.Generated[k]
			if (want.Float32 || run.clear(m.rows[p][n+k-1])) && id != golden {
				return nil, fmt.Errorf("prompt %d: token %d is %d, golden %d", p, k, id, golden)
			}
			feed := ^int32(1)
			if id != golden {
				feed = golden
			}
			got, err = d.Step(Part{Seq: s, Tokens: []int32{feed}, Want: 1, Sample: true})
		}
		if err != nil {
			return nil, err
		}
		d.Free(s)
	}
	return rows, nil
}

// sums counts the all-reduces of a program.
type sums struct {
	backend.Backend
	count int
}

func (s *sums) Build(model func(backend.Program)) error {
	return s.Backend.Build(func(p backend.Program) { model(&summed{p, s}) })
}

type summed struct {
	backend.Program
	sums *sums
}

func (p *summed) AllReduce(x backend.Buffer) {
	p.sums.count++
	p.Program.AllReduce(x)
}

// loadRank puts one rank's share of a model on b.
func loadRank(path string, b backend.Backend, sh weights.Shard) (c model.Config, count int, err error) {
	src, err := weights.Open(path)
	if err != nil {
		return c, 0, err
	}
	defer src.Close()
	counted := &sums{Backend: b}
	m, err := model.Load(src, counted, sh)
	if err != nil {
		return c, 0, err
	}
	return m.Config, counted.count, nil
}

// RefusedRanks checks that a number of ranks that a model does not divide among
// is refused in one line that says why.
func RefusedRanks(t *testing.T, open OpenRanks, folder, name string, n int, why string) {
	cfg := backend.Config{MaxRows: 8, MaxSeqs: 1, MaxContext: 64, Pages: 2}
	eachRank(t, open, cfg, n, func(rank int, b backend.Backend) {
		_, _, err := loadRank(filepath.Join(folder, name), b, weights.Shard{Rank: rank, Size: n})
		if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s on %d ranks: %v, must say %q", name, n, err, why)
		}
	})
}
