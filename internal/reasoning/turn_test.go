package reasoning

import (
	"fmt"
	"strings"
	"testing"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/lark/larktest"
)

// callers calls f for every parser that finds calls itself.
func callers(t *testing.T, f func(t *testing.T, d reasoning.Descriptor)) {
	n := 0
	for _, name := range reasoning.Names() {
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if d.Tools {
			n++
			t.Run(name, func(t *testing.T) { f(t, d) })
		}
	}
	for name := range templates() {
		if d := fromTemplate(t, name); d.Tools {
			n++
			t.Run("template "+name, func(t *testing.T) { f(t, d) })
		}
	}
	if n < 12 {
		t.Errorf("only %d parsers find calls", n)
	}
}

// Law: whatever the grammar of an answer that must call allows is read back by
// the parser as calls of the functions with arguments of their schemas, and as
// nothing else but thought; where one call is due there is one.
func TestGrammarsOfCallsAreReadBack(t *testing.T) {
	callers(t, func(t *testing.T, d reasoning.Descriptor) {
		for _, control := range []bool{true, false} {
			r := larktest.NewRig(t)
			if control {
				r = larktest.NewRig(t, larktest.Markers(t, d.Grammar, "atem")...)
			}
			several, thoughts := 0, 0
			for _, one := range []bool{false, true} {
				source, err := d.Grammar(larktest.Functions(t), reasoning.Writing{Marker: r.Marker, One: one})
				if err != nil {
					t.Fatal(err)
				}
				g := r.Compile(t, source)
				ended := 0
				rounds := 12
				if !control { // markers spelt out are long
					rounds = 9
				}
				for round := range rounds {
					start, open, said := reasoning.Start{Open: reasoning.OpenNo, HasTools: true}, "", ""
					if len(d.Opens) > 0 && (round%3 == 0 || !control) {
						open = d.Opens[0]
					}
					if open != "" && !control { // noise spells no marker
						said = "hm" + d.Closes[0]
					}
					text, whole := r.Walk(t, g, open+said, 3000)
					if !whole {
						continue
					}
					ended++
					if text = said + text; round%3 == 0 && open != "" {
						start.Open = reasoning.OpenYes
					} else {
						text = open + text
					}
					thought, content, calls := answerOf(d, start, text)
					if strings.TrimSpace(content) != "" || len(calls) == 0 || one && len(calls) != 1 {
						t.Errorf("control %v, one %v: %q: content %q, calls %q", control, one, text, content, calls)
					}
					for _, c := range calls {
						if err := r.Check(c.Name, c.Arguments); err != nil {
							t.Errorf("control %v: %q: %v", control, text, err)
						}
					}
					several += len(calls) - 1
					thoughts += min(len(thought), 1)
				}
				if ended < 2 && control || ended == 0 {
					t.Errorf("control %v, one %v: only %d of %d walks ended", control, one, ended, rounds)
				}
			}
			if several == 0 && control {
				t.Errorf("control %v: never more than one call", control)
			}
			if thoughts == 0 && len(d.Opens) > 0 {
				t.Errorf("control %v: no answer has a thought", control)
			}
		}
	})
}

// answerOf reads an answer whole and byte by byte, which must be the same.
func answerOf(d reasoning.Descriptor, start reasoning.Start, text string) (thought, content string, calls []call) {
	p := d.New(start)
	segments := p.Close(p.Feed(nil, text))
	thought, content = fold(segments)
	calls = foldCalls(d, segments)
	p = d.New(start)
	var cut []reasoning.Segment
	for i := range len(text) {
		cut = p.Feed(cut, text[i:i+1])
	}
	cut = p.Close(cut)
	if other := foldCalls(d, cut); fmt.Sprint(other) != fmt.Sprint(calls) {
		return thought, fmt.Sprintf("cut byte by byte the calls are %q", other), calls
	}
	return thought, content, calls
}

// Law: where the writing is free a text without calls is as free as ever, and a
// call is one of the functions'.
func TestFreeAnswersHoldTheirCalls(t *testing.T) {
	callers(t, func(t *testing.T, d reasoning.Descriptor) {
		r := larktest.NewRig(t, larktest.Markers(t, d.Grammar, "atem")...)
		source, err := d.Grammar(larktest.Functions(t), reasoning.Writing{Marker: r.Marker, Free: true})
		if d.Name == "template lines" {
			if err == nil {
				t.Error("calls that begin as text does are told from it")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		g := r.Compile(t, source)
		ended, with, without := 0, 0, 0
		for range 28 {
			text, whole := r.Walk(t, g, "", 1500)
			if !whole {
				continue
			}
			ended++
			_, content, calls := answerOf(d, reasoning.Start{Open: reasoning.OpenNo, HasTools: true}, text)
			for _, c := range calls {
				if err := r.Check(c.Name, c.Arguments); err != nil {
					t.Errorf("%q: %v", text, err)
				}
			}
			with += min(len(calls), 1)
			without += min(len(content), 1)
		}
		if ended < 8 || with < 3 || without < 3 {
			t.Errorf("of 28 walks %d ended, %d with a call, %d with content", ended, with, without)
		}
		must, err := d.Grammar(larktest.Functions(t), reasoning.Writing{Marker: r.Marker})
		if err != nil {
			t.Fatal(err)
		}
		calls := r.Compile(t, must)
		for range 8 {
			text, whole := r.Walk(t, calls, "", 1500)
			if !whole {
				continue
			}
			if !r.Takes(t, g, text) {
				t.Errorf("calls that are due are not free: %q", text)
			}
			for _, f := range larktest.Functions(t) {
				if other := strings.ReplaceAll(text, f.Name, "nobodys"); other != text && r.Takes(t, g, other) {
					t.Errorf("a call that is nobody's is let through: %q", other)
				}
			}
		}
	})
}
