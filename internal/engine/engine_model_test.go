package engine

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/cpu"
	"github.com/reasond/reasond/internal/backend/reference"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

const tinyReasoner = "../../testdata/tiny-reasoner"

// devices are the backends that the model laws are shown on. Scale is how much
// work they get: the reference is slow. Tight is a pool that has to preempt.
var devices = []struct {
	name  string
	scale int
	tight int
	open  func(backend.Config) (backend.Backend, error)
}{
	{"reference", 1, 7, func(c backend.Config) (backend.Backend, error) { return reference.New(c) }},
	{"cpu float32", 4, 9, func(c backend.Config) (backend.Backend, error) { c.Float32 = true; return cpu.New(c) }},
	{"cpu", 4, 9, func(c backend.Config) (backend.Backend, error) { return cpu.New(c) }},
}

// raceEnabled is true under -race, where the reference backend takes minutes.
var raceEnabled bool

func skipSlow(t *testing.T, scale int) {
	if raceEnabled && scale == 1 {
		t.Skip("the reference backend is too slow under -race; cpu runs the same test")
	}
}

// tinyEngine serves tiny-reasoner from a fresh backend.
func tinyEngine(t testing.TB, open func(backend.Config) (backend.Backend, error), bc backend.Config, tweak func(*Config, backend.Backend)) *Engine {
	t.Helper()
	src, err := weights.Open(tinyReasoner)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	be, err := open(bc)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Load(src, be, weights.Shard{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Backend: bc, Model: "tiny", EOS: m.Generation.EOS}
	if tweak != nil {
		tweak(&cfg, be)
	}
	e, err := New(cfg, be)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

type goldenCase struct {
	Name      string  `json:"name"`
	PromptIDs []int32 `json:"prompt_ids"`
	OutputIDs []int32 `json:"output_ids"`
	MinMargin float64 `json:"min_margin"`
}

func goldenCases(t testing.TB) []goldenCase {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(tinyReasoner, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct{ Cases []goldenCase }
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	return golden.Cases
}

// TestGoldenOutputsInACrowd: what transformers generated, all cases at once.
func TestGoldenOutputsInACrowd(t *testing.T) {
	for _, d := range devices {
		t.Run(d.name, func(t *testing.T) {
			skipSlow(t, d.scale)
			bc := backend.Config{MaxRows: 256, MaxSeqs: 16, MaxContext: 1024, Pages: 256}
			e := tinyEngine(t, d.open, bc, nil)
			var wg sync.WaitGroup
			cases := goldenCases(t)
			for i, c := range cases {
				if d.scale == 1 && i%4 != 0 {
					continue
				}
				s := submit(t, e, newReq(c.PromptIDs, greedy(200)))
				wg.Go(func() {
					if a := receive(t, s, 1)[0]; !slices.Equal(a.ids, c.OutputIDs) || a.finish.Reason != llm.FinishStop {
						t.Errorf("%s: %s\n got %v\nwant %v", c.Name, a.finish.Reason, a.ids, c.OutputIDs)
					}
				})
			}
			wg.Wait()
			settled(t, e)
		})
	}
}

// TestModelAnswersDoNotDependOnCompany: alone on a fresh engine, in a crowd, in
// small chunks, after prefix hits, under preemption, and with pages shuffled
// and poisoned: the same ids.
func TestModelAnswersDoNotDependOnCompany(t *testing.T) {
	for _, d := range devices {
		t.Run(d.name, func(t *testing.T) {
			skipSlow(t, d.scale)
			bc := backend.Config{MaxRows: 64, MaxSeqs: 6, MaxContext: 512, Pages: 96}
			reqs := modelRequests(goldenCases(t), d.scale)
			alone := make([][]answer, len(reqs))
			e := tinyEngine(t, d.open, bc, nil)
			for i, req := range reqs {
				alone[i] = ask(t, e, req)
			}
			same := func(e *Engine, submitted func()) {
				t.Helper()
				var wg sync.WaitGroup
				for i, req := range reqs {
					s := submit(t, e, req)
					wg.Go(func() {
						for k, a := range receive(t, s, req.N) {
							if w := alone[i][k]; !slices.Equal(a.ids, w.ids) || a.finish.Reason != w.finish.Reason {
								t.Errorf("request %d, choice %d:\n got %v %s\nwant %v %s", i, k, a.ids, a.finish.Reason, w.ids, w.finish.Reason)
							}
						}
					})
				}
				submitted()
				wg.Wait()
			}
			same(e, func() {}) // in a crowd, after prefix hits
			if e.Stats().PrefixHits == 0 {
				t.Error("no prefix hit")
			}
			settled(t, e)

			tight := bc
			tight.Pages = d.tight
			submitted := make(chan struct{})
			e = tinyEngine(t, d.open, tight, func(c *Config, _ backend.Backend) {
				c.PrefillRows = 13
				c.tweak.landed = func(uint64) { <-submitted }
			})
			same(e, func() { close(submitted) })
			if e.Stats().Preemptions == 0 {
				t.Error("nothing was preempted")
			}
			settled(t, e)

			bc.Pages = 97
			e = tinyEngine(t, d.open, bc, func(c *Config, be backend.Backend) {
				c.tweak.pageOrder = rand.New(rand.NewPCG(5, 5)).Perm(96)
				c.tweak.poison = 96
				poisonPage(t, be, 96)
			})
			same(e, func() {})
			settled(t, e)
		})
	}
}

// modelRequests are greedy and sampled, with penalties, and n = 4.
func modelRequests(cases []goldenCase, scale int) []*llm.Request {
	var reqs []*llm.Request
	for i := range 5 * scale {
		p := greedy(20)
		ids := cases[(i*7)%len(cases)].PromptIDs
		switch i % 5 {
		case 1:
			p.Temperature, p.TopP, p.Seed = 1.5, 0.95, uint64(i)
		case 2:
			ids = append(slices.Clone(cases[27].PromptIDs), ids...)
			p.MaxTokens = 60
			p.IgnoreEOS = true
		case 3:
			p.Temperature, p.Seed, p.RepetitionPenalty, p.FrequencyPenalty = 1.2, 7, 1.3, 0.5
			p.MaxTokens = 40
		}
		req := newReq(ids, p)
		if i%5 == 4 {
			req.N = 4
			req.Sampling.Temperature, req.Sampling.Seed = 1.3, 11
		}
		reqs = append(reqs, req)
	}
	return reqs
}

// poisonPage fills a page with the KV of text that has nothing to do with any
// request.
func poisonPage(t *testing.T, be backend.Backend, page int32) {
	t.Helper()
	b := be.Batch()
	b.Rows, b.Seqs, b.Pages = backend.PageTokens, append(b.Seqs[:0], backend.Seq{Count: backend.PageTokens, Length: backend.PageTokens}), append(b.Pages[:0], page)
	b.Token, b.Pos, b.Seq = b.Token[:0], b.Pos[:0], b.Seq[:0]
	for i := range int32(backend.PageTokens) {
		b.Token, b.Pos, b.Seq = append(b.Token, 1000-17*i), append(b.Pos, i), append(b.Seq, 0)
	}
	b.Copies, b.LogitRows, b.Samples = b.Copies[:0], b.LogitRows[:0], b.Samples[:0]
	if err := be.Forward(); err != nil {
		t.Fatal(err)
	}
	if err := be.Sync(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkTinyReasoner is the whole engine on the cpu backend; tokens/s is what
// counts. The gap between steps is what the loop costs.
func BenchmarkTinyReasoner(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprintf("streams=%d", n), func(b *testing.B) {
			d := devices[2]
			e := tinyEngine(b, d.open, backend.Config{MaxRows: 256, MaxSeqs: 16, MaxContext: 1024, Pages: 512}, nil)
			cases := goldenCases(b)
			p := greedy(400)
			p.IgnoreEOS = true
			b.ReportAllocs()
			for b.Loop() {
				var wg sync.WaitGroup
				for i := range n {
					s := submit(b, e, newReq(cases[i].PromptIDs, p))
					wg.Go(func() { receive(b, s, 1) })
				}
				wg.Wait()
			}
			b.ReportMetric(float64(b.N*n*400)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
