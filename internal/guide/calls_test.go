package guide_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/grammar"
	"github.com/reasond/reasond/internal/guide"
	"github.com/reasond/reasond/internal/lark/larktest"
	"github.com/reasond/reasond/internal/llm"
)

// turn is an answer with calls under a guide that holds all of it to a grammar.
type turn struct {
	d      reasoning.Descriptor
	r      *larktest.Rig
	source string
	open   bool   // the prompt opened the thought
	says   string // what the model wishes to say, where it may
	musing string // the thought's regular expression
	budget guide.Budget
	max    int
	steps  func(*guide.Guide, int)
}

// answered is what came of it.
type answered struct {
	raw, thought, content string
	calls                 [][2]string
	thoughts              int // tokens of thought
	finish                llm.FinishReason
	err                   error
	stop                  guide.Stop
}

func (s turn) play(t *testing.T) (out answered) {
	t.Helper()
	start := reasoning.Start{Open: reasoning.OpenNo, HasTools: true}
	c := guide.Config{Vocab: s.r.Vocab(), EOS: []int32{s.r.EOS}, Whole: true, Thoughts: true, Budget: s.budget, MaxTokens: s.max,
		Answer: s.matcher(t, grammar.Spec{Kind: grammar.Lark, Source: s.source}), Closes: s.d.Closes,
		End: s.r.Ids(t, s.d.Closes[0]), Open: s.r.Ids(t, s.d.Opens[0])}
	if s.musing != "" {
		c.Thought = s.matcher(t, grammar.Spec{Kind: grammar.Regex, Source: s.musing})
	}
	if s.open {
		start.Open, c.Said = reasoning.OpenYes, c.Open
	}
	c.Parser = s.d.New(start).(reasoning.Stager)
	g := guide.New(c, &guide.Shared{Framed: true})
	defer g.Close()
	var ends []int
	mask := make([]uint32, (s.r.Vocab().Size()+31)/32)
	wish := s.r.Ids(t, s.says)
	take := func(id int32) bool {
		if id == s.r.EOS {
			out.finish = llm.FinishStop
			return false
		}
		out.raw += string(s.r.Vocab().Bytes(id))
		if ends = append(ends, len(out.raw)); len(ends) == s.max {
			out.finish = llm.FinishLength
		}
		return out.finish == ""
	}
	for going := true; going; {
		if s.steps != nil {
			s.steps(g, len(ends))
		}
		if !g.Mask(mask) {
			t.Fatalf("%q: all may come", out.raw)
		}
		id, ok := int32(0), false
		for !ok && len(wish) > 0 {
			id, wish = wish[0], wish[1:]
			ok = mask[id/32]>>(id%32)&1 != 0
		}
		if !ok {
			if id, ok = s.draw(mask); !ok {
				t.Fatalf("%q: nothing may come", out.raw)
			}
		}
		going = take(id)
		for step := []int32{id}; going; {
			d := g.Accept(step)
			if d.End != "" {
				out.finish, out.err, going = d.End, d.Err, false
			}
			if step = d.Force; len(step) == 0 {
				break
			}
			for i := 0; i < len(step) && going; i++ {
				if len(wish) > 0 && wish[0] == step[i] {
					wish = wish[1:]
				}
				going = take(step[i])
			}
		}
	}
	out.stop = g.Stop()
	out.parse(s.d, start, ends)
	return out
}

// draw takes now and then what begins a character.
func (s turn) draw(mask []uint32) (int32, bool) {
	for _, id := range []int32{0xe6, 0xf0, 0x80 + s.r.Random.Int32N(64)} {
		if mask[id/32]>>(id%32)&1 != 0 && s.r.Random.IntN(2) == 0 {
			return id, true
		}
	}
	return s.r.Draw(mask)
}

func (s turn) matcher(t *testing.T, spec grammar.Spec) guide.Matcher {
	t.Helper()
	m, err := s.r.CompileSpec(t, spec).Matcher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// parse is what the pipeline makes of the text.
func (out *answered) parse(d reasoning.Descriptor, start reasoning.Start, ends []int) {
	p := d.New(start)
	name := -1
	for _, s := range p.Close(p.Feed(nil, out.raw)) {
		switch s.Kind {
		case reasoning.Reasoning:
			out.thought += s.Text
			for _, end := range ends {
				if end > s.Start && end <= s.End {
					out.thoughts++
				}
			}
		case reasoning.Content:
			out.content += s.Text
		case reasoning.ToolName:
			if s.Start != name {
				out.calls = append(out.calls, [2]string{})
			}
			name = s.End
			out.calls[len(out.calls)-1][0] += s.Text
		case reasoning.ToolArguments:
			out.calls[len(out.calls)-1][1] += s.Text
		}
	}
	for i := range out.calls {
		if d.Arguments != nil {
			out.calls[i][1] = d.Arguments(out.calls[i][1])
		}
	}
}

// framings calls f for every parser that finds calls itself, with the grammar of
// answers that must call.
func framings(t *testing.T, f func(t *testing.T, s turn)) {
	n := 0
	for _, name := range reasoning.Names() {
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if !d.Tools {
			continue
		}
		n++
		r := larktest.NewRig(t, larktest.Markers(t, d.Grammar, "atem")...)
		source, err := d.Grammar(larktest.Functions(t), reasoning.Writing{Marker: r.Marker})
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { f(t, turn{d: d, r: r, source: source, max: 2000}) })
	}
	if n < 8 {
		t.Errorf("only %d framings", n)
	}
}

// Law: a model that would refuse calls, behind a thought that is as free as ever
// and within its bounds; what it calls are functions with arguments of their
// schemas.
func TestWhoeverMustCallCalls(t *testing.T) {
	framings(t, func(t *testing.T, s turn) {
		stops, closed := 0, map[guide.Stop]int{}
		for round := range 24 {
			s := s
			s.open = round%2 == 0
			const muse = "I will not {call} anything.\n"
			s.says = muse + []string{strings.Repeat("Or so. ", 40), ""}[round/4%2] + s.d.End + "No!"
			if !s.open {
				s.says = s.d.Opens[0] + s.says
			}
			s.budget = guide.Budget{Limited: true, Tokens: 40, Grace: 10}
			switch round % 4 {
			case 1:
				s.musing = `[a-z]{3}(,[a-z]{3}){0,4}`
			case 2:
				s.budget = guide.Budget{Reserve: 1900}
			case 3:
				s.budget = guide.Budget{}
				s.steps = func(g *guide.Guide, n int) {
					if n == 60 {
						g.CloseThought()
					}
				}
			}
			got := s.play(t)
			if got.err != nil {
				t.Fatalf("round %d: %v after %q", round, got.err, got.raw)
			}
			if round%4 != 1 && !strings.HasPrefix(got.thought, muse) {
				t.Errorf("round %d: the thought is not the model's: %q", round, got.raw)
			}
			if s.musing != "" && got.stop == guide.Natural && !regexp.MustCompile("^(?:"+s.musing+")$").MatchString(got.thought) {
				t.Errorf("round %d: the thought %q is not of its grammar", round, got.thought)
			}
			if s.budget.Limited && got.thoughts > s.budget.Tokens {
				t.Errorf("round %d: %d tokens of thought: %q", round, got.thoughts, got.raw)
			}
			closed[got.stop]++
			if got.finish != llm.FinishStop {
				continue
			}
			stops++
			if strings.TrimSpace(got.content) != "" || len(got.calls) == 0 {
				t.Errorf("round %d: content %q, calls %q of %q", round, got.content, got.calls, got.raw)
			}
			for _, c := range got.calls {
				if err := s.r.Check(c[0], c[1]); err != nil {
					t.Errorf("round %d: %v of %q", round, err, got.raw)
				}
			}
		}
		if stops < 8 {
			t.Errorf("only %d of 24 answers ended", stops)
		}
		if closed[guide.Natural] == 0 || closed[guide.Client] == 0 || closed[guide.Spent] == 0 || closed[guide.Length] == 0 {
			t.Errorf("thoughts ended so: %v", closed)
		}
	})
}
