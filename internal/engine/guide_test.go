package engine

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/reasond/reasond/internal/llm"
)

// testGuide allows only some tokens, forces two after every fifth sampled one,
// changes the sampling once and ends the choice after a while.
type testGuide struct {
	seen    []int32
	sampled int
	mod     int32
	params  llm.SamplingParams
	end     int
	quiet   bool // the tokens just forced are told too: do not force again
}

func (g *testGuide) Accept(ids []int32) llm.Directive {
	g.seen = append(g.seen, ids...)
	if g.quiet {
		g.quiet = false
		return llm.Directive{}
	}
	g.sampled++
	switch {
	case len(g.seen) >= g.end:
		return llm.Directive{End: llm.FinishToolCalls}
	case g.sampled == 3:
		p := g.params
		p.Temperature, p.Seed = 1, 77
		return llm.Directive{Sampling: &p}
	case g.sampled%5 == 0:
		g.quiet = true
		return llm.Directive{Force: []int32{int32(g.sampled), 42}}
	}
	return llm.Directive{}
}

func (g *testGuide) Mask(dst []uint32) bool {
	if g.mod == 0 {
		return false
	}
	clear(dst)
	for id := int32(0); id < fakeVocab; id += g.mod {
		dst[id/32] |= 1 << (id % 32)
	}
	return true
}

// guided is the model run by hand under a testGuide.
func guided(prompt []int32, p llm.SamplingParams, g *testGuide) []int32 {
	var h, generated uint64
	var out []int32
	add := func(id int32) {
		out = append(out, id)
		h = chainHash(h, id)
		generated += mix(uint64(id) + 1)
	}
	for _, id := range prompt {
		h = chainHash(h, id)
	}
	for {
		mask := make([]uint32, (fakeVocab+31)/32)
		if !g.Mask(mask) {
			mask = nil
		}
		id := fakeNext(h, &p, 0, len(prompt)+len(out), generated, len(out), []int32{fakeEOS}, mask)
		add(id)
		if id == fakeEOS && !p.IgnoreEOS || len(out) >= p.MaxTokens {
			return out
		}
		for ids := out[len(out)-1:]; len(ids) > 0; {
			d := g.Accept(ids)
			if d.End != "" {
				return out
			}
			if d.Sampling != nil {
				p = *d.Sampling
			}
			for _, id := range d.Force {
				add(id)
				if len(out) >= p.MaxTokens {
					return out
				}
			}
			ids = d.Force
		}
	}
}

func TestGuidesSteerTheirOwnChoice(t *testing.T) {
	for _, pages := range []int{128, 14} { // the small pool preempts
		cfg := small()
		cfg.Pages = pages
		e := start(t, newFake(t, cfg), nil)
		var wg sync.WaitGroup
		r := rand.New(rand.NewPCG(1, 1))
		for i := range 12 {
			p := greedy(60 + i)
			p.PresencePenalty, p.Logprobs = 1, true
			p.IgnoreEOS = i%2 == 0
			make := func() *testGuide {
				return &testGuide{params: p, mod: []int32{0, 2, 3}[i%3], end: 40 + 20*(i%3)}
			}
			req := newReq(prompt(uint64(i), 1+r.IntN(70)), p)
			g := make()
			req.Guide = func(int) llm.Guide { return g }
			s := submit(t, e, req)
			wg.Go(func() {
				a := receive(t, s, 1)[0]
				if w := guided(req.Prompt.IDs, p, make()); !slices.Equal(a.ids, w) {
					t.Errorf("guided %d: %s\n got %v\nwant %v", i, a.finish.Reason, a.ids, w)
				}
				if n := len(g.seen); !slices.Equal(g.seen, a.ids[:n]) || n < len(a.ids)-2 {
					t.Errorf("the guide saw %v of %v", g.seen, a.ids)
				}
				if len(a.logprobs) != len(a.ids) {
					t.Errorf("%d log-probabilities for %d tokens", len(a.logprobs), len(a.ids))
				}
			})
		}
		crowd(t, e, mixed(r, 12, 60, 50)) // unguided company
		wg.Wait()
		settled(t, e)
	}
}

// TestGuidedRowsRunInEveryStep: with unguided company too.
func TestGuidedRowsRunInEveryStep(t *testing.T) {
	be := newFake(t, small())
	submitted := make(chan struct{})
	be.holdUntil(submitted)
	e := start(t, be, nil)
	var wg sync.WaitGroup
	for i := range 6 {
		p := greedy(100)
		p.IgnoreEOS = true
		req := newReq(prompt(uint64(i), 5), p)
		if i%2 == 0 {
			req.Guide = func(int) llm.Guide { return badGuide{} } // asks for nothing
		}
		s := submit(t, e, req)
		wg.Go(func() { expect(t, e, req, receive(t, s, 1)) })
	}
	close(submitted)
	wg.Wait()
	settled(t, e)
	if s := e.Stats(); s.Steps > 110 {
		t.Errorf("%d steps for 100 tokens of each", s.Steps)
	}
}

type badGuide struct{ accept, mask bool }

func (g badGuide) Accept([]int32) llm.Directive {
	if g.accept {
		panic("accept")
	}
	return llm.Directive{}
}

func (g badGuide) Mask([]uint32) bool {
	if g.mask {
		panic("mask")
	}
	return false
}

type forceOutside struct{ badGuide }

func (forceOutside) Accept([]int32) llm.Directive { return llm.Directive{Force: []int32{fakeVocab}} }

func TestBadGuideFailsItsRequestOnly(t *testing.T) {
	for _, bad := range []llm.Guide{badGuide{accept: true}, badGuide{mask: true}, forceOutside{}} {
		e := start(t, newFake(t, small()), nil)
		req := newReq(prompt(1, 10), greedy(20))
		req.Guide = func(int) llm.Guide { return bad }
		s := submit(t, e, req)
		crowd(t, e, mixed(rand.New(rand.NewPCG(1, 2)), 10, 60, 50))
		if a := receive(t, s, 1)[0]; a.finish.Reason != llm.FinishError || llm.KindOf(a.finish.Err) != llm.Internal && llm.KindOf(a.finish.Err) != llm.Invalid {
			t.Errorf("%#v: finish %+v", bad, a.finish)
		}
		settled(t, e)
	}
}
