package reasoning

import (
	"testing"

	"github.com/reasond/reasond/api/reasoning"
)

// Law: the stage after a text is what the next byte becomes. A letter stands for
// that byte; no marker begins with it.
func TestTheStageSaysWhatComesNext(t *testing.T) {
	const probe = "§"
	for _, name := range reasoning.Names() {
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, start := range []reasoning.Start{{Open: reasoning.OpenYes}, {Open: reasoning.OpenNo}, {}, {Open: reasoning.OpenYes, HasTools: true}, {Open: reasoning.OpenNo, HasTools: true}} {
			text := "a thought"
			if start.Open != reasoning.OpenYes && len(d.Opens) > 0 {
				text = d.Opens[0] + text
			}
			text += d.End + "an answer"
			for cut := 0; cut <= len(text); cut++ {
				p := d.New(start)
				stager, ok := p.(reasoning.Stager)
				if !ok {
					t.Fatalf("%s has no stages", name)
				}
				p.Feed(nil, text[:cut])
				stage := stager.Stage()
				var next reasoning.Kind
				found := false
				for _, s := range p.Close(p.Feed(nil, probe)) {
					if s.End == cut+len(probe) {
						next, found = s.Kind, true
					}
				}
				if !found || stage == reasoning.Undecided {
					continue
				}
				if (stage == reasoning.InReasoning) != (next == reasoning.Reasoning) {
					t.Errorf("%s, %+v: after %q the stage is %v, and what follows %v", name, start, text[:cut], stage, next)
					break
				}
			}
		}
	}
}

// Law: End closes an open thought, and what follows is content.
func TestTheEndBeginsTheAnswer(t *testing.T) {
	without := 0
	for _, name := range reasoning.Names() {
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if d.End == "" {
			without++
			continue
		}
		p := d.New(reasoning.Start{Open: reasoning.OpenYes})
		p.Feed(nil, "a thought")
		p.Feed(nil, d.End)
		if stage := p.(reasoning.Stager).Stage(); stage != reasoning.InAnswer {
			t.Errorf("%s: behind %q the stage is %v", name, d.End, stage)
		}
		for _, s := range p.Close(p.Feed(nil, "an answer")) {
			if s.Kind != reasoning.Content {
				t.Errorf("%s: behind %q comes %v %q", name, d.End, s.Kind, s.Text)
			}
		}
	}
	if without > 2 {
		t.Errorf("%d formats have no end", without)
	}
}
