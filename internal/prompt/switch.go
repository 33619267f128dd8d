package prompt

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// Wish is what a request, or a default, says about thinking, free of how it was
// spelt.
type Wish struct {
	Think    *bool  // nil: nothing said
	Effort   string // one of none, minimal, low, medium, high, xhigh, max; "": nothing said
	Adaptive bool   // as the model likes, which a few templates know
}

// ReadWish finds what template variables say about thinking, under any of the
// names that a template may know. Two that contradict each other say nothing:
// they are for the template.
func ReadWish(kwargs map[string]json.RawMessage) Wish {
	var w Wish
	var says []bool
	for _, t := range toggles {
		switch raw, given := kwargs[t.name]; {
		case !given:
		case t.on != "" && equal(raw, t.on):
			says = append(says, true)
		case equal(raw, t.off):
			says = append(says, false)
		}
	}
	if w.Effort = readEffort(kwargs); w.Effort != "" && len(says) == 0 {
		says = append(says, w.Effort != efforts[0])
	}
	if len(says) > 0 && !slices.Contains(says, !says[0]) {
		w.Think = &says[0]
	}
	return w
}

// readEffort is the effort that template variables give, "" for none or for a
// word that only the template knows.
func readEffort(kwargs map[string]json.RawMessage) string {
	for _, name := range effortNames {
		var effort string
		switch {
		case json.Unmarshal(kwargs[name], &effort) != nil:
		case effort == noThink:
			return efforts[0]
		case slices.Contains(efforts, effort):
			return effort
		}
	}
	return ""
}

func equal(raw json.RawMessage, want string) bool {
	var a, b any
	return json.Unmarshal(raw, &a) == nil && json.Unmarshal([]byte(want), &b) == nil && a == b
}

// Or fills in what w does not say from another wish that has less weight. An
// effort says that there is to be a thought, unless w says otherwise.
func (w Wish) Or(other Wish) Wish {
	if on, given := w.On(); given {
		w.Think = &on
	}
	if contrary := w.Think != nil && *w.Think && other.Effort == efforts[0]; w.Effort == "" && !contrary {
		w.Effort = other.Effort
	}
	if w.Think == nil && !w.Adaptive {
		w.Think, w.Adaptive = other.Think, other.Adaptive
	}
	return w
}

// On says whether to think; given is false where nothing says it.
func (w Wish) On() (on, given bool) {
	switch {
	case w.Think != nil:
		return *w.Think, true
	case w.Effort != "":
		return w.Effort != efforts[0], true
	}
	return false, false
}

// Kwargs spells a wish for the template. The usual switches are set whether or
// not it reads them, but for those that it refuses; the others and the effort
// only where it understands them. A nil Switches is a template that nobody has
// seen: it gets every usual spelling.
func (s *Switches) Kwargs(w Wish) map[string]json.RawMessage {
	kwargs := map[string]json.RawMessage{}
	on, given := w.On()
	if given {
		for _, t := range toggles {
			value := t.off
			if on {
				value = t.on
			}
			if value != "" && s.takes(t.name) {
				kwargs[t.name] = json.RawMessage(value)
			}
		}
	} else if w.Adaptive && s != nil && s.adaptive {
		kwargs["thinking_mode"] = json.RawMessage(`"adaptive"`)
	}
	if effort := s.effort(w); effort != "" {
		name := EffortName
		if s != nil && s.effortName != "" {
			name = s.effortName
		}
		kwargs[name] = json.RawMessage(strconv.Quote(effort))
	}
	return kwargs
}

// takes reports whether a switch is to be set.
func (s *Switches) takes(name string) bool {
	usual := name == "enable_thinking" || name == "thinking"
	if s == nil {
		return usual
	}
	return slices.Contains(s.Names, name) || usual && !slices.Contains(s.refused, name)
}

// effort is the value for the template, "" for none.
func (s *Switches) effort(w Wish) string {
	on, given := w.On()
	off := given && !on
	switch {
	case s == nil && off && w.Effort == "":
		return ""
	case s == nil:
		return w.Effort
	case len(s.Efforts) == 0 && slices.Contains(s.refused, w.Effort):
		return ""
	case len(s.Efforts) == 0:
		return w.Effort
	case off && (len(s.Names) == 0 || s.off == "none" || s.off == noThink):
		return s.off
	case off, w.Effort == "" && !(on && s.needsOn):
		return ""
	case w.Effort == "":
		return s.nearest("high")
	}
	return s.nearest(w.Effort)
}

// nearest is the effort most like one that asks for a thought; of two equally
// near, the harder.
func (s *Switches) nearest(effort string) string {
	at := slices.Index(efforts, effort)
	best, distance := "", len(efforts)
	for _, e := range s.Efforts {
		if e == efforts[0] {
			continue
		}
		if d := max(at, slices.Index(efforts, e)) - min(at, slices.Index(efforts, e)); d <= distance {
			best, distance = e, d
		}
	}
	return best
}

// Switch is the name of what turns thinking on and off, "" where nothing does.
func (s *Switches) Switch() string {
	switch {
	case len(s.Names) > 0:
		return s.Names[0]
	case s.off == efforts[0] || s.off == noThink:
		return s.effortName
	}
	return ""
}

// Switches is what the model's template understands.
func (r *Renderer) Switches() *Switches { return &r.switches }

// Spell puts a wish into template variables that are there already: those win.
func (s *Switches) Spell(w Wish, kwargs map[string]json.RawMessage) map[string]json.RawMessage {
	spelt := s.Kwargs(w)
	maps.Copy(spelt, kwargs)
	return spelt
}
