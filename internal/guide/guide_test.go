package guide_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/api/reasoning"
	_ "github.com/reasond/reasond/api/reasoning/builtin"
	"github.com/reasond/reasond/internal/grammar"
	"github.com/reasond/reasond/internal/guide"
	"github.com/reasond/reasond/internal/lark/larktest"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/tokenizer"
	"github.com/reasond/reasond/testdata/bytemodel"
)

// words are tokens that a vocabulary of bytes lacks: white space, pieces of
// markers, and what ends a marker and goes on.
var words = []string{"\n\n", "  ", ">\n", ">x", ">{", "></", " {", "ok", ". ", "<t", "</", "think>", "hello world "}

// rig is a vocabulary with its compiler.
type rig struct {
	*tokenizer.Tokenizer
	grammars *grammar.Compiler
	eos      int32
}

// newRig has a byte-level vocabulary with some words; markers are tokens of it.
func newRig(t testing.TB, markers ...string) *rig {
	t.Helper()
	tok, compiler, eos := larktest.Bytes(t, words, markers...)
	return &rig{Tokenizer: tok, grammars: compiler, eos: eos}
}

func (r *rig) ids(t testing.TB, text string) []int32 {
	t.Helper()
	ids, err := r.Encode(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func (r *rig) matcher(t testing.TB, expr string) guide.Matcher {
	t.Helper()
	if expr == "" {
		return nil
	}
	g, err := r.grammars.Compile(context.Background(), grammar.Spec{Kind: grammar.Regex, Source: expr})
	if err != nil {
		t.Fatal(err)
	}
	m, err := g.Matcher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// script is a choice: what a model of a mind of its own says under a guide.
type script struct {
	open      bool                        // the prompt opened the thought
	thoughts  bool                        // one may open
	single    bool                        // markers are single tokens
	answer    string                      // the answer's regular expression
	musing    string                      // the thought's
	budget    guide.Budget                //
	max       int                         // tokens
	says      string                      // what the model wants to say first; then noise
	then      []int32                     // … and then
	steps     func(g *guide.Guide, n int) // called before the n-th token
	sampling  bool                        // per phase
	ignoreEOS bool
}

// told is what came of it.
type told struct {
	ids                []int32
	ends               []int // of the tokens in raw
	raw                string
	reasoning, content string
	thought            int // tokens in reasoning, as the pipeline counts them
	spaces             int // tokens of white space alone between the thought and the answer
	finish             llm.FinishReason
	err                error
	stop               guide.Stop
	params             []float64 // the temperature of each token
	forced             int
}

// behind is how many tokens come behind the first of a text.
func (out told) behind(text string) (n int) {
	at := strings.Index(out.raw, text) + len(text)
	for _, end := range out.ends {
		if end > at {
			n++
		}
	}
	return n
}

// play runs a script. The parser here is the pipeline's, the guide has its own.
func play(t testing.TB, r *rig, d *reasoning.Descriptor, s script, random *rand.Rand) told {
	t.Helper()
	start := reasoning.Start{Open: reasoning.OpenNo}
	if s.open {
		start.Open = reasoning.OpenYes
	}
	c := guide.Config{Vocab: r.Vocab(), EOS: []int32{r.eos}, Thoughts: s.thoughts, Budget: s.budget, MaxTokens: s.max,
		Answer: r.matcher(t, s.answer), Thought: r.matcher(t, s.musing), Closes: d.Closes,
		Parser: d.New(start).(reasoning.Stager), End: r.ids(t, d.End)}
	if len(d.Opens) > 0 {
		c.Open = r.ids(t, d.Opens[0])
	}
	if s.sampling {
		c.ThoughtSampling, c.AnswerSampling = &llm.SamplingParams{Temperature: 1}, &llm.SamplingParams{Temperature: 2}
	}
	g := guide.New(c, &guide.Shared{Framed: d.Tools})
	p := d.New(start)
	var out told
	var ends []int
	var segments []reasoning.Segment
	wish := append(r.ids(t, s.says), s.then...)
	mask := make([]uint32, (r.Vocab().Size()+31)/32)
	temperature := 0.0
	if s.sampling && s.open {
		temperature = 1
	}
	take := func(id int32) bool {
		out.ids = append(out.ids, id)
		out.params = append(out.params, temperature)
		if id == r.eos && !s.ignoreEOS {
			out.finish = llm.FinishStop
			return false
		}
		text := string(r.Vocab().Bytes(id))
		out.raw += text
		ends = append(ends, len(out.raw))
		segments = p.Feed(segments, text)
		if len(out.ids) == s.max {
			out.finish = llm.FinishLength
			return false
		}
		return true
	}
	for going := true; going; {
		if s.steps != nil {
			s.steps(g, len(out.ids))
		}
		allowed := func(id int32) bool { return true }
		if g.Mask(mask) {
			allowed = func(id int32) bool { return mask[id/32]>>(id%32)&1 != 0 }
		}
		id, ok := pick(r, allowed, &wish, random)
		if !ok {
			out.finish, out.err = llm.FinishError, errors.New("nothing may come")
			break
		}
		going = take(id)
		for step := []int32{id}; going; {
			dir := g.Accept(step)
			if dir.Sampling != nil {
				temperature = dir.Sampling.Temperature
			}
			if dir.End != "" {
				out.finish, out.err, going = dir.End, dir.Err, false
			}
			if len(dir.Force) == 0 {
				break
			}
			step = dir.Force
			out.forced += len(step)
			for _, id := range step {
				if going = take(id); !going {
					break
				}
			}
		}
	}
	segments = p.Close(segments)
	for _, seg := range segments {
		switch seg.Kind {
		case reasoning.Reasoning:
			out.reasoning += seg.Text
			for _, end := range ends {
				if end > seg.Start && end <= seg.End {
					out.thought++
				}
			}
		case reasoning.Content:
			if seg.Start < seg.End {
				out.content += seg.Text
			}
		}
	}
	if g.Spaced() {
		rest := strings.TrimLeft(out.content, guide.Space)
		begin := len(out.raw) - len(rest)
		for i, end := range ends {
			from := 0
			if i > 0 {
				from = ends[i-1]
			}
			if from >= begin-(len(out.content)-len(rest)) && end <= begin && strings.HasSuffix(out.raw, rest) {
				out.spaces++
			}
		}
		out.content = rest
	}
	out.stop, out.ends = g.Stop(), ends
	g.Close()
	return out
}

// pick takes what the model wishes where that is allowed, else noise.
func pick(r *rig, allowed func(int32) bool, wish *[]int32, random *rand.Rand) (int32, bool) {
	for len(*wish) > 0 {
		id := (*wish)[0]
		*wish = (*wish)[1:]
		if allowed(id) {
			return id, true
		}
	}
	for range 64 {
		if id := random.Int32N(int32(r.Vocab().Size())); allowed(id) && r.Vocab().Has(id) {
			return id, true
		}
	}
	var all []int32
	for id := range int32(r.Vocab().Size()) {
		if allowed(id) && r.Vocab().Has(id) {
			all = append(all, id)
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	return all[random.IntN(len(all))], true
}

// formats calls f for every format that has thoughts that can be ended, with its
// markers as tokens and as bytes.
func formats(t *testing.T, f func(t *testing.T, r *rig, d *reasoning.Descriptor, single bool)) {
	n := 0
	for _, name := range reasoning.Names() {
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if d.End == "" {
			continue
		}
		n++
		t.Run(name, func(t *testing.T) {
			f(t, newRig(t), &d, false)
			f(t, newRig(t, markersOf(&d)...), &d, true)
		})
	}
	if n < 20 {
		t.Errorf("only %d formats", n)
	}
}

// markersOf cuts a format's markers into what would be tokens: <…> and […].
func markersOf(d *reasoning.Descriptor) (all []string) {
	for _, text := range append(append(slices.Clone(d.Opens), d.Closes...), d.End) {
		all = append(all, pieces.FindAllString(text, -1)...)
	}
	return all
}

var pieces = regexp.MustCompile(`<[^<>]*>|\[[^\[\]]*\]`)

// Law: whatever the format and the noise, the content is of the grammar from its
// first byte on, the thought before it is free, no end of text comes before that
// of the content, and at most four tokens of white space lie between.
func TestTheGrammarBeginsWhereTheThoughtEnds(t *testing.T) {
	formats(t, func(t *testing.T, r *rig, d *reasoning.Descriptor, single bool) {
		random := rand.New(rand.NewPCG(7, uint64(len(d.Name))))
		musings := 0
		for round := range 24 {
			open := round%2 == 0
			says := "why {not}? \"\\ " + []string{"", "<", "</", "}"}[round%4]
			if !open {
				says = d.Opens[0] + says
			}
			if round%3 == 0 || d.Tools { // noise between frames is no answer
				says += d.End + []string{"", "\n", "\n\n \t\n\n  \n  ", "so: {"}[round%4]
			}
			s := script{open: open, thoughts: true, single: single, max: 300, says: says,
				answer: []string{`\{"a": [0-9]{1,3}\}`, `[a-z]{2,5}`, ` ?(yes|no)`}[round%3],
				budget: guide.Budget{Limited: true, Tokens: 50}}
			got := play(t, r, d, s, random)
			whole := regexp.MustCompile("^(?:" + s.answer + ")$")
			if got.err != nil {
				t.Fatalf("round %d, single %v: %v after %q", round, single, got.err, got.raw)
			}
			if got.finish == llm.FinishStop && !whole.MatchString(got.content) {
				t.Fatalf("round %d, single %v: stop, but the content is %q of %q", round, single, got.content, got.raw)
			}
			if got.finish == llm.FinishLength {
				t.Errorf("round %d, single %v: no end: %q", round, single, got.raw)
			}
			if got.spaces > 4 {
				t.Errorf("round %d, single %v: %d tokens of white space: %q", round, single, got.spaces, got.raw)
			}
			if strings.Contains(got.reasoning, "why {not}?") {
				musings++
			}
		}
		if musings < 20 {
			t.Errorf("single %v: only %d thoughts of 24 are free", single, musings)
		}
	})
}

// Law: a thought has at most the budget's tokens, and where it is cut off the
// text up to there is what the model wrote.
func TestAThoughtKeepsItsBudget(t *testing.T) {
	formats(t, func(t *testing.T, r *rig, d *reasoning.Descriptor, single bool) {
		random := rand.New(rand.NewPCG(8, uint64(len(d.Name))))
		for tokens := range 16 {
			open := tokens%2 == 0 && tokens > 0 // with none the prompt closes the thought
			says := "I think, therefore"
			if !open {
				says = d.Opens[0] + says
			}
			for half := range min(3, len(r.ids(t, d.End))) { // a close that the model has begun
				s := script{open: open, thoughts: true, max: 200, says: says[:max(len(says)-tokens%7, 0)], then: r.ids(t, d.End)[:half], budget: guide.Budget{Limited: true, Tokens: tokens, Grace: 0}}
				got := play(t, r, d, s, random)
				if got.thought > tokens || got.err != nil {
					t.Fatalf("single %v: %d tokens of thought with a budget of %d, %v: %q", single, got.thought, tokens, got.err, got.raw)
				}
				if got.stop != guide.Spent && got.stop != guide.Natural || tokens < 10 && got.stop != guide.Spent {
					t.Errorf("single %v: budget %d: the thought stops for %q: %q", single, tokens, got.stop, got.raw)
				}
			}
		}
	})
}

func lookup(t testing.TB, name string) *reasoning.Descriptor {
	t.Helper()
	d, err := reasoning.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return &d
}

func noise() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// A half-written marker is completed, not repeated.
func TestAHalfWrittenMarkerIsCompleted(t *testing.T) {
	r, d := newRig(t), lookup(t, "qwen3")
	for half := range len("</think>") {
		got := play(t, r, d, script{open: true, max: 60, says: "abcdefgh" + "</think>"[:half] + "zzz", budget: guide.Budget{Limited: true, Tokens: 8 + half}}, noise())
		if got.reasoning != "abcdefgh" || strings.Count(got.raw, "<") < 1 || !strings.HasPrefix(got.raw, "abcdefgh</think>") {
			t.Errorf("%d bytes of the marker: %q", half, got.raw)
		}
	}
}

func TestASoftCloseComesWithASentence(t *testing.T) {
	r, d := newRig(t, "</think>"), lookup(t, "qwen3")
	for _, c := range []struct{ says, want string }{
		{"one. two. three and four and five", "one. two."},
		{"one. two! three and four and five", "one. two!"},
		{"one two\nthree and four and five", "one two\n"},
		{"one two three and four", "one two three an"},      // none: the hard limit
		{"up to 9.11 and 9.80 it goes", "up to 9.11 and 9"}, // no sentence ends within a number
		{"it is 9.11. and on and on", "it is 9.11. "},
		{"a.b.c and so on and on", "a.b.c and so on "}, // before the grace nothing counts
	} {
		got := play(t, r, d, script{open: true, max: 40, says: c.says, budget: guide.Budget{Limited: true, Tokens: 16, Grace: 9}}, noise())
		if got.reasoning != c.want || got.stop != guide.Spent {
			t.Errorf("%q: the thought is %q, stop %q", c.says, got.reasoning, got.stop)
		}
	}
}

// Law: what is reserved is there for the answer, and the answer is not empty.
func TestTheReserveIsTheAnswers(t *testing.T) {
	formats(t, func(t *testing.T, r *rig, d *reasoning.Descriptor, single bool) {
		end := r.ids(t, d.End)
		for reserve := 1; reserve < 6; reserve++ {
			for _, says := range []string{"thinking for a long time about nothing in particular, really", "", bytemodel.EOS + "x"} {
				s := script{open: true, max: len(end) + reserve + 12, says: says, budget: guide.Budget{Reserve: reserve}}
				got := play(t, r, d, s, noise())
				if got.err != nil || strings.TrimSpace(got.content) == "" && !strings.Contains(got.raw, d.End) {
					t.Fatalf("single %v, reserve %d: no answer in %q, %v", single, reserve, got.raw, got.err)
				}
				if got.stop == guide.Length && got.finish == llm.FinishLength {
					if n := got.behind(d.End); n < reserve {
						t.Errorf("reserve %d: %d tokens for the answer: %q", reserve, n, got.raw)
					}
				}
			}
		}
	})
	// A model that would end without a word says one.
	r, d := newRig(t, "</think>"), lookup(t, "qwen3")
	got := play(t, r, d, script{open: true, max: 30, says: "hm</think>" + bytemodel.EOS + "\n" + bytemodel.EOS + "y" + bytemodel.EOS, budget: guide.Budget{Reserve: 5}}, noise())
	if strings.TrimSpace(got.content) != "y" || got.finish != llm.FinishStop {
		t.Errorf("the answer is %q, %s", got.content, got.finish)
	}
}

func TestALoopIsBrokenAndOrdinaryTextIsNot(t *testing.T) {
	r, d := newRig(t, "</think>"), lookup(t, "qwen3")
	for _, period := range []string{"a", "wait, ", "Let me check this once more. Hmm, that is not it.\n"} {
		got := play(t, r, d, script{open: true, max: 3000, says: strings.Repeat(period, 3000/len(period)), budget: guide.Budget{Loops: true}}, noise())
		if n := len(got.reasoning); got.stop != guide.Loop || n > 5*max(len(period), 160) {
			t.Errorf("%.20q: stop %q after %d bytes", period, got.stop, n)
		}
	}
	for name, text := range ordinary(t) {
		got := play(t, r, d, script{open: true, max: len(text) + 20, says: text + "</think>yes" + bytemodel.EOS, budget: guide.Budget{Loops: true}}, noise())
		if got.stop == guide.Loop {
			t.Errorf("%s is no loop: %q", name, got.reasoning[max(0, len(got.reasoning)-200):])
		}
	}
}

func TestAnswerNowClosesTheThought(t *testing.T) {
	for _, open := range []bool{true, false} {
		r, d := newRig(t, "<think>", "</think>"), lookup(t, "qwen3")
		s := script{open: open, thoughts: true, max: 60, says: "thinking on and on</think>x", steps: func(g *guide.Guide, n int) {
			if n == 5 {
				g.CloseThought()
			}
		}}
		want := "thinki"
		if !open {
			s.says, want = "<think>"+s.says, "think"
		}
		got := play(t, r, d, s, noise())
		if got.stop != guide.Client || got.reasoning != want || !strings.Contains(got.raw, want+"</think>") {
			t.Errorf("open %v: stop %q, %q", open, got.stop, got.raw)
		}
	}
	// Before the thought has begun it ends when it does; after it nothing happens.
	r, d := newRig(t, "<think>", "</think>"), lookup(t, "qwen3")
	early := func(at int) func(*guide.Guide, int) {
		return func(g *guide.Guide, n int) {
			if n == at {
				g.CloseThought()
			}
		}
	}
	if got := play(t, r, d, script{thoughts: true, max: 20, says: "<think>abc", steps: early(0)}, noise()); got.stop != guide.Client || got.reasoning != "" {
		t.Errorf("before: %q, %q", got.stop, got.raw)
	}
	if got := play(t, r, d, script{open: true, max: 20, says: "abc</think>answer", steps: early(6)}, noise()); got.stop != guide.Natural || !strings.HasPrefix(got.raw, "abc</think>answer") {
		t.Errorf("after: %q, %q", got.stop, got.raw)
	}
}

// The thought's grammar: the thought is of it, the answer is free; a marker of
// several tokens is finished once begun.
func TestAThoughtFollowsItsGrammar(t *testing.T) {
	d := lookup(t, "qwen3")
	for _, single := range []bool{true, false} {
		r := newRig(t)
		if single {
			r = newRig(t, "<think>", "</think>")
		}
		whole := regexp.MustCompile(`^(step [0-9]\n){1,3}$`)
		for seed := range uint64(20) {
			s := script{open: true, max: 100, musing: `(step [0-9]\n){1,3}`, answer: []string{"", "[a-z]{4}"}[seed%2]}
			got := play(t, r, d, s, rand.New(rand.NewPCG(seed, 1)))
			if got.err != nil || !whole.MatchString(got.reasoning) || got.stop != guide.Natural || got.content == "" {
				t.Fatalf("single %v: %v, thought %q, stop %q, raw %q", single, got.err, got.reasoning, got.stop, got.raw)
			}
		}
		// The budget holds where the grammar leaves no choice, too.
		for n := 1; n < 8; n++ {
			got := play(t, r, d, script{open: true, max: 100, musing: `step by step by step`, budget: guide.Budget{Limited: true, Tokens: n}}, noise())
			if got.thought > n || got.reasoning != "step by step by step"[:n] || got.stop != guide.Spent {
				t.Errorf("single %v: budget %d: %q, stop %q", single, n, got.raw, got.stop)
			}
		}
	}
}

func TestForcedTokensJumpForward(t *testing.T) {
	r, d := newRig(t, "</think>"), lookup(t, "qwen3")
	got := play(t, r, d, script{max: 100, answer: `The answer is (yes|no), certainly\.`}, noise())
	if got.finish != llm.FinishStop || got.forced < 25 || got.content != "The answer is yes, certainly." && got.content != "The answer is no, certainly." {
		t.Errorf("%s after %d forced tokens: %q", got.finish, got.forced, got.content)
	}
}

// A grammar's end is the choice's, also where the end of a text counts for nothing.
func TestAFinishedGrammarEndsTheChoice(t *testing.T) {
	r, d := newRig(t, "</think>"), lookup(t, "qwen3")
	for _, ignore := range []bool{false, true} {
		for _, expr := range []string{`[a-z]{3}`, `[a-z]{3,5}`, `[a-z]+`} {
			got := play(t, r, d, script{open: true, max: 400, says: "x</think>abc" + bytemodel.EOS, answer: expr, ignoreEOS: ignore}, noise())
			if got.finish != llm.FinishStop || got.err != nil || !regexp.MustCompile("^"+expr+"$").MatchString(strings.TrimSuffix(got.content, bytemodel.EOS)) {
				t.Errorf("%s, end ignored %v: %s, %v, %q", expr, ignore, got.finish, got.err, got.content)
			}
		}
	}
}

func TestEachPhaseHasItsSampling(t *testing.T) {
	r, d := newRig(t, "<think>", "</think>"), lookup(t, "qwen3")
	got := play(t, r, d, script{thoughts: true, sampling: true, max: 12, says: "<think>abc</think>defghijk"}, noise())
	want := []float64{0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2}
	if !slices.Equal(got.params, want) {
		t.Errorf("temperatures %v of %q, not %v", got.params, got.raw, want)
	}
	got = play(t, r, d, script{open: true, sampling: true, max: 6, says: "ab</think>def"}, noise())
	if want := []float64{1, 1, 1, 2, 2, 2}; !slices.Equal(got.params, want) {
		t.Errorf("temperatures %v of %q, not %v", got.params, got.raw, want)
	}
}

// broken is a matcher whose calls fail from a certain one on.
type broken struct {
	guide.Matcher
	calls, mask, take int
}

var errBroken = errors.New("the grammar takes too long")

func (b *broken) Mask(dst []uint32) error {
	if b.calls++; b.calls > b.mask {
		return errBroken
	}
	return b.Matcher.Mask(dst)
}

func (b *broken) Take(ids []int32) (int, bool, bool, error) {
	if b.take--; b.take < 0 {
		return 0, false, false, errBroken
	}
	return b.Matcher.Take(ids)
}

// Law: where a matcher fails nothing may come any more: no token is sampled past
// it, least of all one that ends the text.
func TestAMatchersErrorEndsTheChoice(t *testing.T) {
	r := newRig(t)
	mask := make([]uint32, (r.Vocab().Size()+31)/32)
	for name, c := range map[string]guide.Config{
		"mask": {Answer: &broken{Matcher: r.matcher(t, "[a-z]+"), mask: 2, take: 99}},
		"take": {Answer: &broken{Matcher: r.matcher(t, "[a-z]+"), mask: 99, take: 1}},
		"the thought's": {Thought: &broken{Matcher: r.matcher(t, "[a-z]+"), mask: 2, take: 99}, Answer: r.matcher(t, "[a-z]+"),
			Parser: lookup(t, "qwen3").New(reasoning.Start{Open: reasoning.OpenYes}).(reasoning.Stager), End: r.ids(t, "</think>"), Closes: []string{"</think>"}},
	} {
		c.Vocab, c.EOS = r.Vocab(), []int32{r.eos}
		g := guide.New(c, &guide.Shared{})
		ended := false
		for range 8 {
			if !g.Mask(mask) {
				t.Errorf("%s: not masked", name)
			}
			if !slices.ContainsFunc(mask, func(w uint32) bool { return w != 0 }) {
				ended = true
				break
			}
			if d := g.Accept([]int32{'a'}); d.End != "" {
				ended = d.End == llm.FinishError && errors.Is(d.Err, errBroken)
				break
			}
		}
		if !ended {
			t.Errorf("%s: the choice goes on", name)
		}
	}
}

// A guide that is closed while the engine still uses it says nothing of note.
func TestAClosedGuideIsQuiet(t *testing.T) {
	r := newRig(t)
	mask := make([]uint32, (r.Vocab().Size()+31)/32)
	for range 50 {
		g := guide.New(guide.Config{Vocab: r.Vocab(), EOS: []int32{r.eos}, Answer: r.matcher(t, "[a-z]+")}, &guide.Shared{})
		done := make(chan struct{})
		go func() { g.Close(); close(done) }()
		for range 20 {
			g.Mask(mask)
			if d := g.Accept([]int32{'a'}); d.End != "" || d.Err != nil {
				t.Fatalf("a closed guide: %+v", d)
			}
		}
		<-done
	}
}

// word is the id of a word.
func word(text string) int32 { return int32(256 + slices.Index(words, text)) }

// Law: while a grammar waits no token ends the thought and begins the answer.
func TestNoTokenStraddlesTheEndOfAThought(t *testing.T) {
	r, d := newRig(t), lookup(t, "qwen3")
	for _, then := range []int32{word(">x"), word(">{"), word("></")} {
		got := play(t, r, d, script{open: true, max: 60, says: "abc</think", then: []int32{then, '>'}, answer: `x?\{[a-z]{3}\}`}, noise())
		if got.err != nil || got.finish != llm.FinishStop || !regexp.MustCompile(`^x?\{[a-z]{3}\}$`).MatchString(got.content) || got.reasoning != "abc" {
			t.Errorf("%q: %v, content %q of %q", r.Vocab().Bytes(then), got.err, got.content, got.raw)
		}
	}
	// White space may, unless the grammar has a say in it.
	got := play(t, r, d, script{open: true, max: 60, says: "abc</think", then: []int32{word(">\n"), 'y'}, answer: `y`}, noise())
	if got.raw != "abc</think>\ny" {
		t.Errorf("white space: %q", got.raw)
	}
	got = play(t, r, d, script{open: true, max: 60, says: "abc</think", then: []int32{word(">\n"), '>', 'y'}, answer: ` ?y`}, noise())
	if got.raw != "abc</think>y" {
		t.Errorf("white space that is the grammar's: %q", got.raw)
	}
}

// The last token that is reserved is no white space, and no thought takes it.
func TestTheLastTokenIsTheAnswers(t *testing.T) {
	r, d := newRig(t, "<think>", "</think>"), lookup(t, "qwen3")
	open, closed := r.ids(t, "<think>"), r.ids(t, "</think>")
	got := play(t, r, d, script{open: true, max: 6, says: "abcd", then: append(closed, word("\n\n"), 'y'), budget: guide.Budget{Reserve: 1}}, noise())
	if got.raw != "abcd</think>y" {
		t.Errorf("white space last: %q", got.raw)
	}
	got = play(t, r, d, script{thoughts: true, max: 5, then: []int32{' ', ' ', ' ', open[0], ' ', 'y'}, budget: guide.Budget{Reserve: 1}}, noise())
	if strings.TrimSpace(got.content) == "" {
		t.Errorf("a late thought: %q", got.raw)
	}
}
