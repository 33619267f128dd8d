package sched

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the scripts' outputs")

// TestScripts runs testdata/sched/*.txt: each block is commands, a line of
// dashes and what they print; -update rewrites the latter. Commands:
//
//	config pages=P page=T slots=S [preempt=N]
//	add NAME prompt=N max=M [n=N] [from=ID] [prio=P] [scope=S] [guided]
//	plan [tokens=N] [prefill=N]
//	draft NAME.CHOICE ID...      from now on guessed whenever it is asked for
//	apply [NAME.CHOICE=ID,… ...] unnamed rows get 1000 + their position
//	fail                         the oldest plan's step did not happen
//	finish NAME[.CHOICE]
//	extend NAME.CHOICE ID...
//	state
//
// A prompt is N tokens counting up from from=, so equal from means equal prefix.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/sched/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(data))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(data), got); d != "" {
				t.Errorf("%s (-want +got):\n%s", file, d)
			}
		})
	}
}

func runScript(t *testing.T, data string) string {
	var out strings.Builder
	h := &script{t: t, groups: map[string]*Group{}, drafts: map[string][]int32{}}
	for _, block := range strings.Split(strings.TrimRight(data, "\n"), "\n\n") {
		commands, _, _ := strings.Cut(block, "\n----")
		if out.Len() > 0 {
			out.WriteString("\n")
		}
		out.WriteString(commands + "\n")
		var printed strings.Builder
		ran := false
		for _, line := range strings.Split(commands, "\n") {
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			ran = true
			printed.WriteString(h.run(line))
			if h.s != nil {
				if err := h.s.Check(); err != nil {
					t.Fatalf("after %q: %v", line, err)
				}
			}
		}
		if ran {
			out.WriteString("----\n" + printed.String())
		}
	}
	return out.String()
}

type script struct {
	t      *testing.T
	s      *Scheduler
	groups map[string]*Group
	flight []*Plan
	drafts map[string][]int32

	considered []Item
}

func (h *script) Consider(items []Item, _, _ int) { h.considered = items }

func (h *script) Draft(i, most int) []int32 {
	q := h.considered[i].Seq
	ids := h.drafts[h.name(q)]
	return ids[:min(most, len(ids))]
}

func (h *script) run(line string) string {
	words := strings.Fields(line)
	args, rest := map[string]string{}, []string{}
	for _, w := range words[1:] {
		if k, v, ok := strings.Cut(w, "="); ok {
			args[k] = v
		} else {
			rest = append(rest, w)
		}
	}
	num := func(key string, or int) int {
		if v, ok := args[key]; ok {
			n, err := strconv.Atoi(v)
			if err != nil {
				h.t.Fatalf("%q: %v", line, err)
			}
			return n
		}
		return or
	}
	switch words[0] {
	case "config":
		h.s = New(Config{Pages: num("pages", 8), PageTokens: num("page", 4), Slots: num("slots", 4), MaxPreemptions: num("preempt", 3), Drafter: h})
		return ""
	case "add":
		return h.add(rest, num, args["scope"])
	case "plan":
		p := h.s.Plan(Budget{Tokens: num("tokens", 64), PrefillTokens: num("prefill", 64)})
		if p == nil {
			return "nothing\n" + h.state()
		}
		h.flight = append(h.flight, p)
		return h.plan(p) + h.state()
	case "apply":
		return h.apply(args)
	case "fail":
		var names []string
		for _, q := range h.s.Fail() {
			names = append(names, h.name(q))
		}
		h.flight = h.flight[1:]
		return "failed: " + strings.Join(names, " ") + "\n"
	case "finish":
		if g, ok := h.groups[rest[0]]; ok {
			h.s.FinishGroup(g)
		} else {
			h.s.Finish(h.seq(rest[0]))
		}
		return ""
	case "extend":
		for _, w := range rest[1:] {
			id, _ := strconv.Atoi(w)
			h.s.Extend(h.seq(rest[0]), []int32{int32(id)})
		}
		return ""
	case "draft":
		h.drafts[rest[0]] = nil
		for _, w := range rest[1:] {
			id, _ := strconv.Atoi(w)
			h.drafts[rest[0]] = append(h.drafts[rest[0]], int32(id))
		}
		return ""
	case "state":
		s := h.s.Stats()
		drafts := ""
		if s.DraftTokens > 0 {
			drafts = fmt.Sprintf(" drafts %d right %d", s.DraftTokens, s.DraftAccepted)
		}
		return h.state() + fmt.Sprintf("prompt %d cached %d prefill %d decode %d preemptions %d%s\n",
			s.PromptTokens, s.CachedTokens, s.PrefillTokens, s.DecodeRows, s.Preemptions, drafts)
	}
	h.t.Fatalf("unknown command %q", line)
	return ""
}

func (h *script) add(rest []string, num func(string, int) int, scope string) string {
	prompt := make([]int32, num("prompt", 1))
	for i := range prompt {
		prompt[i] = int32(num("from", 100*(1+len(h.groups))) + i)
	}
	n := num("n", 1)
	guided := make([]bool, n)
	for i := range guided {
		guided[i] = len(rest) > 1 && rest[1] == "guided"
	}
	g, err := h.s.Add(Request{Prompt: prompt, N: n, Limit: len(prompt) + num("max", 1), Priority: num("prio", 0), Guided: guided, Scope: []string{scope}})
	if err != nil {
		return err.Error() + "\n"
	}
	for _, q := range g.Seqs {
		q.Owner = fmt.Sprintf("%s.%d", rest[0], q.Choice)
	}
	h.groups[rest[0]] = g
	return ""
}

func (h *script) apply(args map[string]string) string {
	p := h.flight[0]
	h.flight = h.flight[1:]
	var results []Result
	out := ""
	for _, it := range p.Items {
		r := Result{Seq: it.Seq}
		if it.Logits > 0 {
			named := strings.Split(args[h.name(it.Seq)], ",")
			for row := it.Count - it.Logits; row < it.Count; row++ {
				id := 1000 + it.Start + row + 1
				if k := len(r.Tokens); k < len(named) && named[k] != "" {
					id, _ = strconv.Atoi(named[k])
				}
				r.Tokens = append(r.Tokens, int32(id))
				if row+1 < it.Count && it.Tokens[row+1] != int32(id) {
					break
				}
			}
		}
		results = append(results, r)
	}
	h.s.Apply(results)
	for i, r := range results {
		dropped := ""
		if r.Seq.Done() {
			dropped = " (dropped)"
		}
		if p.Items[i].Logits > 0 {
			out += fmt.Sprintf("%s + %s%s\n", h.name(r.Seq), strings.Trim(fmt.Sprint(r.Tokens), "[]"), dropped)
		}
	}
	return out
}

func (h *script) seq(name string) *Seq {
	group, choice, _ := strings.Cut(name, ".")
	i, _ := strconv.Atoi(choice)
	if h.groups[group] == nil {
		h.t.Fatalf("no group %q", group)
	}
	return h.groups[group].Seqs[i]
}

func (h *script) name(q *Seq) string { return q.Owner.(string) }

func (h *script) plan(p *Plan) string {
	var out strings.Builder
	for _, q := range p.Preempt {
		fmt.Fprintf(&out, "preempt %s\n", h.name(q))
	}
	for _, c := range p.Copies {
		fmt.Fprintf(&out, "copy page %d to %d\n", c.Src, c.Dst)
	}
	for _, it := range p.Items {
		fmt.Fprintf(&out, "%s slot %d rows %d..%d pages %v tokens %s", h.name(it.Seq), it.Slot, it.Start, it.Start+it.Count-1, it.Tables[0], span(it.Tokens))
		if it.Logits > 0 {
			out.WriteString(" sample")
		}
		if it.Draft > 0 {
			fmt.Fprintf(&out, " %d guesses", it.Draft)
		}
		if it.Guided {
			out.WriteString(" guided")
		}
		if it.Fresh {
			out.WriteString(" fresh")
		}
		out.WriteString("\n")
	}
	return out.String()
}

func span(ids []int32) string {
	show := func(id int32) string {
		if id < 0 {
			return fmt.Sprintf("slot(%d)", ^id)
		}
		return strconv.Itoa(int(id))
	}
	if len(ids) == 1 {
		return show(ids[0])
	}
	return show(ids[0]) + ".." + show(ids[len(ids)-1])
}

func (h *script) state() string {
	names := func(list []*Seq) string {
		var out []string
		for _, q := range list {
			out = append(out, h.name(q))
		}
		return "[" + strings.Join(out, " ") + "]"
	}
	return fmt.Sprintf("running %s waiting %s free %d cached %d\n", names(h.s.running), names(h.s.waiting), h.s.pool.Free(), h.s.pool.Cached())
}
