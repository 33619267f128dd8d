package reasoning

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// pattern is a regular expression that is searched for in text as it comes.
type pattern struct {
	source  string // as it was written
	prog    *syntax.Prog
	first   [256]bool // bytes that a match may begin with
	looks   bool      // it has ^, $ or \b: a place is judged by what follows it
	capture int       // register of the start of the group "name", 0 if there is none
	longest int       // of its literals; maxPattern where it is no list of them
}

// maxPattern is the longest text that a regular expression matches, in bytes:
// it bounds what is held back.
const maxPattern = 512

// literals makes a pattern of texts, the longest of which wins.
func literals(texts []string) *pattern {
	ordered := slices.Clone(texts)
	slices.SortStableFunc(ordered, func(a, b string) int { return len(b) - len(a) })
	quoted := make([]string, len(ordered))
	for i, text := range ordered {
		quoted[i] = regexp.QuoteMeta(text)
	}
	p, err := compilePattern(strings.Join(quoted, "|"))
	if err != nil {
		panic("reasoning: " + err.Error()) // quoted text always compiles
	}
	p.longest = len(ordered[0])
	return p
}

// compilePattern reads a regular expression in Python's spelling: "." matches
// line ends, "^" and "$" are the text's start and end, classes know Unicode.
func compilePattern(expr string) (*pattern, error) {
	re, err := syntax.Parse(goSpelling(expr), syntax.Perl|syntax.DotNL)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", expr, err)
	}
	p := &pattern{source: expr, longest: maxPattern}
	for i, name := range re.CapNames() {
		if name == "name" {
			p.capture = 2 * i
		}
	}
	if p.prog, err = syntax.Compile(re.Simplify()); err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", expr, err)
	}
	for i := range p.prog.Inst {
		p.looks = p.looks || p.prog.Inst[i].Op == syntax.InstEmptyWidth
	}
	p.firsts(uint32(p.prog.Start), make([]bool, len(p.prog.Inst)))
	return p, nil
}

// goSpelling puts Python's Unicode classes into Go's words.
func goSpelling(expr string) string {
	classes := map[byte]string{'w': `\p{L}\p{M}\p{N}_`, 'd': `\p{Nd}`, 's': `\s\x{1c}-\x{1f}\x{85}\p{Z}`}
	var out strings.Builder
	inClass := false
	for i := 0; i < len(expr); i++ {
		c := expr[i]
		if c != '\\' || i+1 == len(expr) {
			switch c {
			case '[':
				inClass = true
			case ']':
				inClass = false
			}
			out.WriteByte(c)
			continue
		}
		i++
		letters, known := classes[expr[i]|0x20]
		switch negated := expr[i] < 'a'; {
		case expr[i] == 'Z':
			out.WriteString(`\z`)
		case !known || inClass && negated:
			out.WriteString(expr[i-1 : i+1])
		case inClass:
			out.WriteString(letters)
		case negated:
			out.WriteString("[^" + letters + "]")
		default:
			out.WriteString("[" + letters + "]")
		}
	}
	return out.String()
}

// firsts notes the bytes that a match from pc on may begin with.
func (p *pattern) firsts(pc uint32, seen []bool) {
	if seen[pc] {
		return
	}
	seen[pc] = true
	inst := &p.prog.Inst[pc]
	switch inst.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		p.firsts(inst.Out, seen)
		p.firsts(inst.Arg, seen)
	case syntax.InstCapture, syntax.InstNop:
		p.firsts(inst.Out, seen)
	case syntax.InstEmptyWidth, syntax.InstMatch:
		for b := range p.first {
			p.first[b] = true // it may be empty
		}
	case syntax.InstFail:
	default:
		for b := range utf8.RuneSelf {
			p.first[b] = p.first[b] || inst.MatchRune(rune(b))
		}
		if folds := syntax.Flags(inst.Arg)&syntax.FoldCase != 0; folds || slices.Max(inst.Rune) >= utf8.RuneSelf {
			for b := utf8.RuneSelf; b < 256; b++ {
				p.first[b] = true
			}
		}
	}
}

// search is a pattern under way: a Pike machine (Thompson's construction with
// priorities) that is given rune by rune. Its answer is that of a leftmost
// search, and depends on nothing but the text.
type search struct {
	p       *pattern
	threads []thread // in front of the next rune, most wanted first, at instructions that take one
	next    []thread
	seen    []uint32 // by instruction: the last turn that came by
	turn    uint32
	match   found
	has     bool // match is one, perhaps to be replaced by a longer or earlier one
}

// thread is one way in which a match may go on.
type thread struct {
	pc         uint32
	start      int
	name, stop int // the range of the group "name"
}

// found is a match, in offsets of the raw text.
type found struct{ start, end, name, stop int }

func newSearch(p *pattern) *search {
	return &search{p: p, seen: make([]uint32, len(p.prog.Inst))}
}

func (s *search) reset() { s.threads, s.has = s.threads[:0], false }

// idle says that nothing has begun.
func (s *search) idle() bool { return len(s.threads) == 0 && !s.has }

// pending is where a match begins that more text would decide.
func (s *search) pending() (start int, ok bool) {
	for _, t := range s.threads {
		if !ok || t.start < start {
			start, ok = t.start, true
		}
	}
	return start, ok
}

// place is what a machine may know of the place between two runes.
type place struct {
	at     int
	flags  syntax.EmptyOp // what is so there
	barred int            // where no empty match may be: there was one already
}

// settle follows all that takes no text at a place, from the instructions that
// the last rune led to.
func (s *search) settle(at place) {
	s.turn++
	s.next = s.next[:0]
	for _, t := range s.threads {
		if at.at-t.start <= s.p.longest && s.follow(t, at) {
			break // what is less wanted than a match is given up
		}
	}
	s.threads, s.next = s.next, s.threads
}

// begin lets a match begin at a settled place: the least wanted of all.
func (s *search) begin(at place) {
	if s.has {
		return
	}
	if len(s.threads) == 0 {
		s.turn++
	}
	s.next, s.threads = s.threads, s.next
	s.follow(thread{pc: uint32(s.p.prog.Start), start: at.at, name: -1, stop: -1}, at)
	s.threads, s.next = s.next, s.threads[:0]
}

// follow adds to next what a thread leads to, and says whether it matched.
func (s *search) follow(t thread, at place) (matched bool) {
	for {
		if s.seen[t.pc] == s.turn {
			return false
		}
		s.seen[t.pc] = s.turn
		inst := &s.p.prog.Inst[t.pc]
		switch inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			left := t
			left.pc = inst.Out
			if s.follow(left, at) {
				return true
			}
			t.pc = inst.Arg
		case syntax.InstCapture:
			if s.p.capture > 0 {
				switch int(inst.Arg) {
				case s.p.capture:
					t.name = at.at
				case s.p.capture + 1:
					t.stop = at.at
				}
			}
			t.pc = inst.Out
		case syntax.InstNop:
			t.pc = inst.Out
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(inst.Arg)&^at.flags != 0 {
				return false
			}
			t.pc = inst.Out
		case syntax.InstMatch:
			if t.start == at.at && at.at == at.barred {
				return false
			}
			s.match, s.has = found{t.start, at.at, t.name, t.stop}, true
			return true
		case syntax.InstFail:
			return false
		default:
			s.next = append(s.next, t)
			return false
		}
	}
}

// step takes a rune. The place behind it is to be settled.
func (s *search) step(r rune) {
	kept := s.threads[:0]
	for _, t := range s.threads {
		if inst := &s.p.prog.Inst[t.pc]; inst.MatchRune(r) {
			t.pc = inst.Out
			kept = append(kept, t)
		}
	}
	s.threads = kept
}
