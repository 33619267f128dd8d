package prompt

import (
	"strconv"
	"strings"
	"time"
)

// Switches is what a template understands of the ways to say whether, and how
// hard, a model thinks. Templates do not say it: a small chat is rendered with
// each spelling, and what changes the prompt is understood.
type Switches struct {
	// Names are the variables that turn thinking on and off, the usual one first.
	Names []string
	// Efforts are the values of reasoning_effort that the template tells apart,
	// in their order; none among them turns thinking off.
	Efforts []string
	// Default says whether a request that says nothing thinks; nil: the template
	// has nothing that would turn it off, or does not say.
	Default *bool

	effortName string   // the variable that takes Efforts
	refused    []string // names, and values of EffortName, with which rendering fails
	off        string   // the effort that turns thinking off, or is nearest to that; "": none does
	needsOn    bool     // without an effort it does not think
	adaptive   bool     // takes thinking_mode adaptive
}

// EffortName is the variable that says how hard to think.
const EffortName = "reasoning_effort"

// effortNames are the names that it goes by.
var effortNames = []string{EffortName, "thinking_effort"} // the latter: Kimi K3

// efforts are the values of reasoning_effort that clients give, from no thought
// to the longest.
var efforts = []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}

// noThink is what Hunyuan's templates call "none".
const noThink = "no_think"

// toggle is a variable that turns thinking on and off, in JSON; on may be "":
// leave it out.
type toggle struct{ name, on, off string }

var toggles = []toggle{
	{"enable_thinking", "true", "false"},
	{"thinking", "true", "false"},
	{"thinking_mode", `"enabled"`, `"disabled"`}, // MiniMax-M3
	{"thinking_budget", "", "0"},                 // Seed-OSS
}

// trial renders the small chat with one variable set.
type trial struct {
	engine *engine
	tokens []member
}

func (t *trial) render(name, json string) (string, bool) {
	variables := object(
		member{"messages", array(message(roleUser, text(probeWord)))},
		member{"tools", scalar("null")},
		member{"add_generation_prompt", boolean(true)},
	)
	variables.members = append(variables.members, t.tokens...)
	if json != "" {
		variables.members = append(variables.members, member{name, scalar(json)})
	}
	out, err := t.engine.template.Render(variables.append(nil), time.Unix(0, 0).UTC())
	return out, err == nil
}

// probeSwitches finds out what a template understands.
func probeSwitches(e *engine, tokens []member, source string) Switches {
	t := &trial{e, tokens}
	base, ok := t.render("", "")
	if !ok {
		return Switches{}
	}
	var s Switches
	for _, toggle := range toggles {
		s.tryToggle(t, toggle, base)
	}
	for _, name := range effortNames {
		if len(s.Efforts) == 0 {
			s.tryEfforts(t, name, base, source)
		}
	}
	return s
}

func (s *Switches) tryToggle(t *trial, toggle toggle, base string) {
	on, onOK := t.render(toggle.name, toggle.on)
	off, offOK := t.render(toggle.name, toggle.off)
	switch {
	case !onOK || !offOK:
		s.refused = append(s.refused, toggle.name)
		return
	case on == off:
		return
	}
	s.Names = append(s.Names, toggle.name)
	if s.Default == nil {
		s.Default = nearer(base, on, off)
	}
	if toggle.name == "thinking_mode" {
		adaptive, ok := t.render(toggle.name, `"adaptive"`)
		s.adaptive = ok && adaptive != ""
	}
}

// nearer says which of two prompts the one without a variable is: equal to it,
// or else asking for the answer in the same words. nil: neither.
func nearer(base, on, off string) *bool {
	yes, no := true, false
	switch {
	case base == on:
		return &yes
	case base == off:
		return &no
	}
	tail := func(s string) string { return s[strings.LastIndex(s, probeWord)+1:] }
	switch {
	case tail(on) == tail(off):
		return nil
	case tail(base) == tail(on):
		return &yes
	case tail(base) == tail(off):
		return &no
	}
	return nil
}

// tryEfforts finds the values of the effort under one of its names.
func (s *Switches) tryEfforts(t *trial, name, base, source string) {
	w := tryWords(t, name)
	if name == EffortName {
		s.refused = append(s.refused, w.refused...)
	}
	levels, off := w.understood(source)
	if len(levels) == 0 {
		return
	}
	s.effortName, s.Efforts, s.off = name, levels, off
	if s.Default == nil && (off == noThink || off == "none" && len(levels) > 1) {
		s.Default = nearer(base, w.prompts[levels[len(levels)-1]], w.prompts[off])
	}
	s.needsOn = len(s.Names) == 0 && s.Default != nil && !*s.Default
}

// words are the prompts that the values of an effort lead to.
type words struct {
	prompts map[string]string // by the value
	refused []string          // values with which rendering fails
	other   *string           // with a word that is no effort; nil: it fails
	printed bool              // it prints any word
}

func tryWords(t *trial, name string) words {
	const nonsense = "probevalue"
	w := words{prompts: map[string]string{}}
	if out, ok := t.render(name, strconv.Quote(nonsense)); ok {
		w.other, w.printed = &out, strings.Contains(out, nonsense)
	}
	for _, e := range append([]string{noThink}, efforts...) {
		if out, ok := t.render(name, strconv.Quote(e)); ok {
			w.prompts[e] = out
		} else {
			w.refused = append(w.refused, e)
		}
	}
	return w
}

// understood are the efforts that the template takes and the one that turns
// thinking off, or is nearest to that. A template that prints the value takes
// any word: of those, the three that every such model knows count. Of a template
// that compares it, those that it tells from nonsense do, and those that it
// spells.
func (w *words) understood(source string) (levels []string, off string) {
	if w.printed {
		for _, e := range []string{"low", "medium", "high"} {
			if _, ok := w.prompts[e]; ok {
				levels = append(levels, e)
			}
		}
	} else {
		levels = w.told(source)
	}
	_, quiet := w.prompts[noThink]
	quiet = quiet && !w.printed
	if quiet && len(levels) == 0 && w.differs(noThink) {
		levels = spelt(w.prompts, source) // all are one, but for that
	}
	switch {
	case len(levels) == 0:
		return nil, ""
	case quiet && levels[0] != "none" && spells(source, noThink):
		return levels, noThink
	}
	return levels, levels[0]
}

// differs says that a value does not lead where nonsense does.
func (w *words) differs(value string) bool { return w.other == nil || w.prompts[value] != *w.other }

// told are the efforts that a template tells from a word that is none, and those
// that it spells. Nothing is understood where all prompts are the same.
func (w *words) told(source string) []string {
	var all []string
	differ := false
	for _, e := range efforts {
		if _, ok := w.prompts[e]; ok && (w.differs(e) || spells(source, e)) {
			differ = differ || w.differs(e)
			all = append(all, e)
		}
	}
	if !differ {
		return nil
	}
	return all
}

// spelt are the efforts that a template spells, other than none; high if it
// spells none of them.
func spelt(prompts map[string]string, source string) []string {
	var all []string
	for _, e := range efforts[1:] {
		if _, ok := prompts[e]; ok && spells(source, e) {
			all = append(all, e)
		}
	}
	if len(all) == 0 {
		all = []string{"high"}
	}
	return all
}

// spells reports whether a template has a word as a string of its own.
func spells(source, word string) bool {
	return strings.Contains(source, `"`+word+`"`) || strings.Contains(source, `'`+word+`'`)
}
