package reasoning

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/reasond/reasond/api/reasoning"
	"pgregory.net/rapid"
)

// The laws of api/reasoning, for every registered parser: being registered is
// being tested.

type failer interface {
	Helper()
	Fatalf(string, ...any)
}

// starts are the situations that a parser may begin in.
func starts() []reasoning.Start {
	var all []reasoning.Start
	for _, open := range []reasoning.Open{reasoning.OpenUnknown, reasoning.OpenYes, reasoning.OpenNo} {
		for _, tools := range []bool{false, true} {
			for _, switches := range []map[string]bool{nil, {"enable_thinking": true}, {"thinking": false}} {
				s := reasoning.Start{Open: open, HasTools: tools, Switches: switches}
				all = append(all, s)
				s.Effort = "low"
				all = append(all, s)
				s.Token = func(text string) bool { return len(text)%2 == 0 }
				all = append(all, s)
			}
		}
	}
	return all
}

// markers are all that the parser may hold back the beginning of.
func markers(d reasoning.Descriptor) []string {
	all := slices.Concat(d.Opens, d.Closes)
	for _, f := range registered {
		if f.name == d.Name {
			all = append(all, f.markers()...)
		}
	}
	return append(all, shapes()[d.Name].markers...)
}

// checkLaws parses raw in the cuts given and checks every law on the way.
func checkLaws(t failer, d reasoning.Descriptor, s reasoning.Start, raw string, cut func(left int) int) {
	t.Helper()
	whole := d.New(s)
	want := folded(whole.Close(whole.Feed(nil, raw)))

	p := d.New(s)
	var got []reasoning.Segment
	for fed := 0; fed < len(raw); {
		n := cut(len(raw) - fed)
		got = p.Feed(got, raw[fed:fed+n])
		fed += n
		end := 0
		if len(got) > 0 {
			end = got[len(got)-1].End
		}
		gap := raw[end:fed]
		if _, other := shapes()[d.Name]; other {
			if n := late(want, raw, end, fed); n > d.MaxHold {
				t.Fatalf("%s %+v: after %q, %d bytes of %q are held back", d.Name, s, raw[:fed], n, gap)
			}
		} else if !mayHold(d, gap) {
			t.Fatalf("%s %+v: after %q, %q is held back", d.Name, s, raw[:fed], gap)
		}
	}
	got = p.Close(got)
	checkSpans(t, d, raw, got)
	if got = folded(got); !slices.Equal(got, want) {
		t.Fatalf("%s %+v: %q\n in parts %+v\n at once  %+v", d.Name, s, raw, got, want)
	}
}

// checkSpans holds segments to their spans and gaps to markers and white space.
func checkSpans(t failer, d reasoning.Descriptor, raw string, segments []reasoning.Segment) {
	t.Helper()
	at := 0
	content := false
	for i, s := range segments {
		if i == 0 && d.Prefix != "" {
			if s.Start != 0 || s.End != 0 || s.Text != d.Prefix || s.Kind != reasoning.Content {
				t.Fatalf("%s: %q begins with %+v", d.Name, raw, s)
			}
			continue
		}
		if s.Start < at || s.End <= s.Start || s.End > len(raw) || raw[s.Start:s.End] != s.Text {
			t.Fatalf("%s: %q: segment %+v after offset %d", d.Name, raw, s, at)
		}
		if gap := hidden(d, raw[at:s.Start]); gap != "" && !amongCalls(segments, i) && !shapes()[d.Name].inCalls(raw[:at]) {
			t.Fatalf("%s: %q: %q is lost", d.Name, raw, gap)
		}
		at = s.End
		if s.Kind == reasoning.Content {
			content = true
		} else if content && !d.Tools && !d.Blocks {
			t.Fatalf("%s: %q: %s after content", d.Name, raw, s.Kind)
		}
	}
	if gap := hidden(d, raw[at:]); gap != "" && !amongCalls(segments, len(segments)) && !shapes()[d.Name].inCalls(raw[:at]) {
		t.Fatalf("%s: %q: %q is lost at the end", d.Name, raw, gap)
	}
}

// hidden is a gap without the markers and the white space at its beginning.
func hidden(d reasoning.Descriptor, gap string) string {
	if s, other := shapes()[d.Name]; other {
		if s.markup(gap) {
			return ""
		}
		return gap
	}
	for {
		rest := skipped(d, gap)
		if rest == gap {
			return gap
		}
		gap = rest
	}
}

// skipped is a gap without the white space, or the marker, that it begins with.
func skipped(d reasoning.Descriptor, gap string) string {
	if rest := strings.TrimLeft(gap, white); rest != gap {
		return rest
	}
	for _, m := range slices.Concat(d.Opens, d.Closes) {
		if rest, ok := strings.CutPrefix(gap, m); ok {
			return rest
		}
	}
	return gap
}

// mayHold says whether the text may be held back: no more than the beginning of
// a marker, behind markers and white space.
func mayHold(d reasoning.Descriptor, gap string) bool {
	for len(gap) > d.MaxHold || !begins(d, gap) {
		rest := skipped(d, gap)
		if rest == gap {
			return false
		}
		gap = rest
	}
	return true
}

// begins says whether held is the beginning of a marker, or nothing.
func begins(d reasoning.Descriptor, held string) bool {
	return held == "" || slices.ContainsFunc(markers(d), func(m string) bool {
		return len(held) < len(m) && strings.HasPrefix(m, held)
	})
}

// folded joins neighbours of one kind.
func folded(segments []reasoning.Segment) []reasoning.Segment {
	var out []reasoning.Segment
	for _, s := range segments {
		if n := len(out) - 1; n >= 0 && out[n].Kind == s.Kind && out[n].End == s.Start {
			out[n].End, out[n].Text = s.End, out[n].Text+s.Text
		} else {
			out = append(out, s)
		}
	}
	return out
}

// pieces of which texts are made that come near a parser's markers.
func pieces(d reasoning.Descriptor) []string {
	all := []string{" ", "\n", "\n\n", "\r\n", "\t", "a", "<", "</", ">", "word", "é", "思考", "🙂", "```", "\n```\n", "~~~", "`", "   ", "\x00"}
	for _, m := range markers(d) {
		all = append(all, m, m, m, "\n"+m, m[:1], m[:len(m)/2], m[:len(m)-1], m[1:], m[:1]+m, m[:len(m)-1]+m, strings.ToUpper(m))
	}
	return all
}

func TestLaws(t *testing.T) {
	for _, name := range reasoning.Names() {
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			start, piece := rapid.SampledFrom(starts()), rapid.SampledFrom(pieces(d))
			rapid.Check(t, func(t *rapid.T) {
				s := start.Draw(t, "start")
				raw := strings.Join(rapid.SliceOfN(piece, 0, 20).Draw(t, "pieces"), "")
				checkLaws(t, d, s, raw, func(left int) int { return rapid.IntRange(1, left).Draw(t, "cut") })
				checkLaws(t, d, s, raw, func(int) int { return 1 })
			})
		})
	}
}

// Text that comes in whole characters leaves in whole characters: markers
// may share their first bytes with other text.
func TestCharactersStayWhole(t *testing.T) {
	for _, name := range reasoning.Names() {
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		start, piece := rapid.SampledFrom(starts()), rapid.SampledFrom(pieces(d))
		rapid.Check(t, func(t *rapid.T) {
			raw := strings.ToValidUTF8(strings.Join(rapid.SliceOfN(piece, 0, 20).Draw(t, "pieces"), ""), "\uFFFD")
			p := d.New(start.Draw(t, "start"))
			var segments []reasoning.Segment
			for _, char := range raw {
				segments = p.Feed(segments, string(char))
			}
			for _, s := range p.Close(segments) {
				if !utf8.ValidString(s.Text) {
					t.Fatalf("%s: %q: segment %q", name, raw, s.Text)
				}
			}
		})
	}
}

// The goldens too, byte by byte and cut in two at every place.
func TestGoldensHoweverTheyAreCut(t *testing.T) {
	for name, cases := range readGoldens(t) {
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range cases {
			checkLaws(t, d, g.start(), g.Raw, func(int) int { return 1 })
			for at := 1; at < len(g.Raw); at++ {
				first := at
				checkLaws(t, d, g.start(), g.Raw, func(left int) int { n := min(first, left); first = left; return n })
			}
		}
	}
}

// define is what a row of the table means: the whole text at once.
func define(f *format, s reasoning.Start, raw string) (thought, content string) {
	d := definition{f: f, tags: f.tags}
	if f.choose != nil {
		d.tags = f.choose(s, f.tags)
	}
	if s.HasTools {
		d.tools = f.tools
		d.anywhere = f.toolTokens && s.Token != nil && slices.ContainsFunc(f.tools, s.Token)
	}
	if s.Open == reasoning.OpenYes || s.Open == reasoning.OpenUnknown && f.thinks(s) {
		d.thought(raw, d.tags)
		return d.reasoning, d.content
	}
	rest := strings.TrimLeft(raw, white)
	if after, t, opened := d.opened(rest); opened {
		d.thought(after, t)
		return d.reasoning, d.content
	}
	for _, t := range d.tags {
		if after, stray := strings.CutPrefix(rest, t.close); f.stray && stray {
			d.answer(after)
			return d.reasoning, d.content
		}
	}
	d.text(raw)
	return d.reasoning, d.content
}

const white = " \t\n\v\f\r"

// definition is a text as far as it is understood.
type definition struct {
	f                  *format
	tags               []tag
	tools              []string
	anywhere           bool // calls may begin within a line
	reasoning, content string
}

// opened cuts an opening tag off, and says what may close it.
func (d *definition) opened(raw string) (after string, t []tag, ok bool) {
	for i, t := range d.tags {
		if after, ok := strings.CutPrefix(raw, t.open); ok {
			return strings.TrimPrefix(after, d.f.label), d.tags[i : i+1], true
		}
	}
	return raw, nil, false
}

// thought reads from inside of a block.
func (d *definition) thought(raw string, closing []tag) {
	for {
		rest := strings.TrimLeft(raw, white)
		after, t, again := d.opened(rest)
		if !again {
			break
		}
		d.reasoning += raw[:len(raw)-len(rest)]
		raw, closing = after, t
	}
	d.thoughtText("", raw, closing)
}

// thoughtText reads thought behind what has been read of it since its tag.
func (d *definition) thoughtText(seen, raw string, closing []tag) {
	for at := range len(raw) {
		rest, now := raw[at:], seen+raw[:at]
		for _, t := range closing {
			if after, closed := strings.CutPrefix(rest, t.close); closed {
				d.reasoning += raw[:at]
				d.answer(after)
				return
			}
		}
		for _, tool := range d.tools {
			if !strings.HasPrefix(rest, tool) || inFence(now) || !d.anywhere && now != "" && !strings.HasSuffix(now, "\n") {
				continue
			}
			d.reasoning += raw[:at]
			if d.f.toolEnd == "" {
				d.text(rest)
				return
			}
			call, after, ended := strings.Cut(rest, d.f.toolEnd)
			d.content += call
			if ended {
				d.content += d.f.toolEnd
			}
			d.thoughtText(now, after, closing)
			return
		}
	}
	d.reasoning += raw
}

var (
	fenceOpens  = regexp.MustCompile("^ {0,3}(?:(`{3,})[^`]*|(~{3,}).*)$")
	fenceCloses = regexp.MustCompile("^ {0,3}(`{3,}|~{3,})[ \t\r]*$")
)

// inFence says whether the lines of the text leave a code fence open.
func inFence(text string) bool {
	open := ""
	lines := strings.Split(text, "\n")
	for _, line := range lines[:len(lines)-1] {
		line = strings.ReplaceAll(line, "\x00", "x")
		if open == "" {
			if m := fenceOpens.FindStringSubmatch(line); m != nil {
				open = m[1] + m[2]
			}
		} else if m := fenceCloses.FindStringSubmatch(line); m != nil && strings.HasPrefix(m[1], open) {
			open = ""
		}
	}
	return open != ""
}

// answer reads from behind a closing tag.
func (d *definition) answer(raw string) {
	feeds := ""
	if d.f.feed {
		feeds = "\n"
	}
	raw = strings.TrimLeft(raw, feeds)
	if after, wrapped := strings.CutPrefix(raw, d.f.answer.open); wrapped && d.f.answer.open != "" {
		said, rest, _ := strings.Cut(strings.TrimLeft(after, feeds), d.f.answer.close)
		raw = said + strings.TrimLeft(rest, feeds)
	}
	d.text(raw)
}

// text reads content.
func (d *definition) text(raw string) {
	for at := 0; d.f.blocks && at < len(raw); at++ {
		if after, t, opened := d.opened(raw[at:]); opened {
			d.content += raw[:at]
			d.thought(after, t)
			return
		}
	}
	d.content += raw
}

func TestRowsMeanWhatTheyAreDefinedToMean(t *testing.T) {
	const rounds = 10 // of rapid's hundred checks: calls in fences are rare
	for _, f := range registered {
		d, err := reasoning.Lookup(f.name)
		if err != nil {
			t.Fatal(err)
		}
		start, piece := rapid.SampledFrom(starts()), rapid.SampledFrom(pieces(d))
		for range rounds {
			rapid.Check(t, func(t *rapid.T) {
				s := start.Draw(t, "start")
				raw := strings.Join(rapid.SliceOfN(piece, 0, 20).Draw(t, "pieces"), "")
				p := d.New(s)
				thought, content := fold(p.Close(p.Feed(nil, raw)))
				if wantThought, wantContent := define(f, s, raw); thought != wantThought || content != wantContent {
					t.Fatalf("%s %+v: %q\n got %q | %q\nwant %q | %q", f.name, s, raw, thought, content, wantThought, wantContent)
				}
			})
		}
	}
}

// The goldens hold the definition to the formats too.
func TestRowsAreDefinedAsTheGoldensSay(t *testing.T) {
	cases := readGoldens(t)
	for _, f := range registered {
		for _, g := range cases[f.name] {
			if thought, content := define(f, g.start(), g.Raw); thought != g.Reasoning || content != g.Content {
				t.Errorf("%s/%s: %q | %q", f.name, g.Name, thought, content)
			}
		}
	}
}

func FuzzParsers(f *testing.F) {
	names, all := reasoning.Names(), starts()
	for name, cases := range readGoldens(f) {
		for i, g := range cases {
			f.Add(uint8(slices.Index(names, name)), uint8(i), g.Raw, []byte{1, 2, byte(i)})
		}
	}
	f.Fuzz(func(t *testing.T, parser, start uint8, raw string, cuts []byte) {
		d, err := reasoning.Lookup(names[int(parser)%len(names)])
		if err != nil {
			t.Fatal(err)
		}
		checkLaws(t, d, all[int(start)%len(all)], raw, func(left int) int {
			if len(cuts) == 0 {
				return left
			}
			n := 1 + int(cuts[0])%left
			cuts = cuts[1:]
			return n
		})
	})
}

// hostile are texts that make a careless parser read its input again and again.
func hostile(d reasoning.Descriptor) []string {
	repeated := []string{" ", "\n", "<", "a", "\n```\n", "`"}
	for _, m := range markers(d) {
		repeated = append(repeated, m, m[:len(m)-1], "\n"+m[:len(m)-1])
	}
	return repeated
}

// What takes time quadratic in the text takes minutes to hours here; the race
// detector slows the rest down tenfold, so there the texts are shorter.
func TestTimeIsLinear(t *testing.T) {
	size, long, limit := 128<<10, 10<<20, 30*time.Second
	if raceEnabled {
		size, long = size/8, long/8
	}
	prose := strings.Repeat("2 < 3, and\n`a[0]` is ◁ b.\n", long/30)
	for _, name := range reasoning.Names() {
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for _, open := range []reasoning.Open{reasoning.OpenYes, reasoning.OpenNo} {
			s := reasoning.Start{Open: open, HasTools: true}
			for _, unit := range hostile(d) {
				raw := strings.Repeat(unit, size/len(unit))
				p := d.New(s)
				checkSpans(t, d, raw, p.Close(p.Feed(nil, raw)))
				p = d.New(s)
				var segments []reasoning.Segment
				for i := 0; i < len(raw); i += 3 {
					segments = p.Feed(segments[:0], raw[i:min(i+3, len(raw))])
				}
				p.Close(segments)
			}
			p := d.New(s)
			checkSpans(t, d, prose, p.Close(p.Feed(nil, prose)))
		}
		if took := time.Since(began); took > limit {
			t.Errorf("%s: %d MB took %v", name, long>>20, took)
		}
	}
}

// answerParts is an answer as tokens make it, without its markers.
var answerParts = []string{"The", " sum", " of", " 2", " <", " 3", "</", "b", ">\n", "is", "\n", "`", "``", " 5", "."}

func TestFeedDoesNotAllocate(t *testing.T) {
	for _, name := range reasoning.Names() {
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range starts() {
			p := d.New(s)
			segments := p.Feed(make([]reasoning.Segment, 0, 64), "x")
			if n := testing.AllocsPerRun(100, func() {
				segments = segments[:0]
				for _, part := range answerParts {
					segments = p.Feed(segments, part)
				}
			}); n != 0 {
				t.Errorf("%s %+v: %v allocations in %d Feeds", name, s, n, len(answerParts))
			}
		}
	}
}

func TestAnUnknownNameListsTheKnown(t *testing.T) {
	_, err := reasoning.Lookup("nothing")
	if err == nil || !strings.Contains(err.Error(), strings.Join(reasoning.Names(), ", ")) {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestMarkersThatBeginEachOtherAreRefused(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "begins") {
			t.Errorf("registered: %s", got)
		}
	}()
	register(&format{name: "broken", tags: []tag{{"<a", "<ab"}}, thinks: always})
}

// BenchmarkFeed is a long thought, and the answer that follows it, in deltas of
// a token's size and at once.
func BenchmarkFeed(b *testing.B) {
	prose := strings.Repeat("Let me see: 2 < 3, so the next step is\nto add **both** numbers.\n\n", 1<<13)
	for _, name := range reasoning.Names() {
		d, err := reasoning.Lookup(name)
		if err != nil {
			b.Fatal(err)
		}
		text := prose + d.Closes[0] + prose
		for _, size := range []int{4, len(text)} {
			label := map[bool]string{true: "deltas", false: "whole"}[size == 4]
			b.Run(name+"/"+label, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				segments := make([]reasoning.Segment, 0, 16)
				deltas := 0
				for b.Loop() {
					p := d.New(reasoning.Start{Open: reasoning.OpenYes, HasTools: true})
					for i := 0; i < len(text); i += size {
						segments = p.Feed(segments[:0], text[i:min(i+size, len(text))])
						deltas++
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(deltas), "ns/delta")
			})
		}
	}
}
