package dispatch

import (
	"math/rand/v2"
	"testing"

	"github.com/reasond/reasond/internal/llm"
)

func TestTheRuleOfChoice(t *testing.T) {
	for name, c := range map[string]struct {
		all  []candidate
		turn int
		want int
	}{
		"none is left":                 {[]candidate{{out: true}, {out: true}}, 0, -1},
		"equals take turns":            {[]candidate{{}, {}, {}}, 1, 1},
		"turns wrap":                   {[]candidate{{}, {open: 1}}, 2, 0},
		"the least busy":               {[]candidate{{open: 3}, {open: 1}, {open: 2}}, 0, 1},
		"who knows most":               {[]candidate{{known: 2}, {known: 5, open: 4}, {}}, 0, 1},
		"of those the least busy":      {[]candidate{{known: 5, open: 3}, {known: 5, open: 2}, {}}, 0, 1},
		"at the limit":                 {[]candidate{{known: 5, open: 4}, {}}, 0, 0},
		"beyond the limit":             {[]candidate{{known: 5, open: 5}, {}}, 0, 1},
		"against the least busy":       {[]candidate{{known: 5, open: 9}, {known: 1, open: 6}, {open: 5}}, 0, 0},
		"not who has refused":          {[]candidate{{known: 5, out: true}, {open: 9}}, 0, 1},
		"ready before all":             {[]candidate{{known: 9, state: waiting}, {open: 90}, {state: stuck}}, 0, 1},
		"waiting before stuck":         {[]candidate{{state: stuck}, {state: waiting, open: 90}}, 0, 1},
		"stuck if there is no other":   {[]candidate{{state: stuck, open: 1}, {state: stuck}}, 0, 1},
		"who refused is in no state":   {[]candidate{{out: true}, {state: waiting}}, 0, 1},
		"load of others is not asked":  {[]candidate{{known: 1, open: 4}, {state: waiting}, {open: 4}}, 1, 0},
		"knowing nothing is no choice": {[]candidate{{open: 1}, {open: 0}}, 0, 1},
	} {
		if got := choose(c.all, 4, c.turn); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func request(tenant, salt string, ids ...int32) *llm.Request {
	return &llm.Request{N: 1, Tenant: tenant, Salt: salt, Prompt: llm.Prompt{IDs: ids}}
}

func ids(seed uint64, n int) []int32 {
	r := rand.New(rand.NewPCG(seed, 3))
	out := make([]int32, n)
	for i := range out {
		out[i] = r.Int32N(1000)
	}
	return out
}

func known(x *index, req *llm.Request, engines int) []int {
	out := make([]int, engines)
	x.match(x.blocks(req), func(i, n int) { out[i] = n })
	return out
}

// Law: what is known is the common beginning in whole blocks, the last token left
// out, within tenant and salt: as a plain list of all that was sent says.
func TestTheIndexKnowsTheLongestCommonBeginning(t *testing.T) {
	const engines = 5
	r := rand.New(rand.NewPCG(1, 1))
	x := newIndex(1 << 20)
	type sent struct {
		engine int
		req    *llm.Request
	}
	var all []sent
	draw := func() *llm.Request {
		p := ids(uint64(r.IntN(3)), 1+r.IntN(300))
		if r.IntN(2) == 0 {
			p[r.IntN(len(p))]++
		}
		return request([]string{"", "a"}[r.IntN(2)], []string{"", "a", "b"}[r.IntN(3)], p...)
	}
	for range 3000 {
		req := draw()
		got, want := known(x, req, engines), make([]int, engines)
		for _, s := range all {
			if s.req.Tenant != req.Tenant || s.req.Salt != req.Salt {
				continue
			}
			n, a, b := 0, s.req.Prompt.IDs, req.Prompt.IDs
			for n < len(a) && n < len(b) && a[n] == b[n] {
				n++
			}
			n = min(n, len(a)-1, len(b)-1) / blockTokens
			want[s.engine] = max(want[s.engine], n)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("engine %d knows %d blocks of a prompt of %d, the index says %d", i, want[i], len(req.Prompt.IDs), got[i])
			}
		}
		s := sent{r.IntN(engines), req}
		all = append(all, s)
		x.note(x.blocks(req), s.engine)
		if r.IntN(200) == 0 {
			gone := r.IntN(engines)
			x.forget(gone)
			kept := all[:0]
			for _, s := range all {
				if s.engine != gone {
					kept = append(kept, s)
				}
			}
			all = kept
		}
	}
}

// Law: no more blocks than it may, and the latest stay, beginnings first.
func TestTheIndexIsBounded(t *testing.T) {
	x := newIndex(10)
	for seed := range uint64(50) {
		req := request("", "", ids(seed, 4*blockTokens+1)...)
		x.note(x.blocks(req), int(seed%3))
		if got := known(x, req, 3)[seed%3]; got != 4 || len(x.entries) > 10 || x.used.Len() != len(x.entries) {
			t.Fatalf("prompt %d: %d blocks known, %d held", seed, got, len(x.entries))
		}
	}
	before := request("", "", ids(47, 4*blockTokens+1)...)
	if got := known(x, before, 3)[47%3]; got != 2 {
		t.Errorf("of the third last prompt %d blocks are known, want its first 2", got)
	}
	long := request("", "", ids(99, 100*blockTokens)...)
	x.note(x.blocks(long), 1)
	if got := known(x, long, 3)[1]; got != 10 || len(x.entries) != 10 {
		t.Errorf("of a prompt beyond the bound %d blocks are known, %d held", got, len(x.entries))
	}
}

// BenchmarkDispatch is what a request costs whose prompt has 4096 tokens, half of
// them known to an engine, beside the engine's own work.
func BenchmarkDispatch(b *testing.B) {
	const engines = 8
	x := newIndex(1 << 16)
	head := ids(1, 2048)
	all := make([]candidate, engines)
	b.ReportAllocs()
	seed := uint64(0)
	for b.Loop() {
		seed++
		head = append(head[:2048], ids(seed%64+2, 2048)...)
		blocks := x.blocks(request("tenant", "", head...))
		for i := range all {
			all[i].known = 0
		}
		x.match(blocks, func(i, n int) { all[i].known = n })
		x.note(blocks, choose(all, defaultImbalance, int(seed)))
	}
}
