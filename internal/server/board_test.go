package server

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/engine/scripted"
)

// exposed reads /metrics: the labels of each series by its name.
func exposed(t *testing.T, f *fixture) map[string][]map[string]string {
	t.Helper()
	series := map[string][]map[string]string{}
	for line := range strings.Lines(f.do(t, "GET", "/metrics", "").body) {
		m := regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+\n$`).FindStringSubmatch(line)
		if m == nil {
			if !strings.HasPrefix(line, "# ") {
				t.Fatalf("not a line of /metrics: %q", line)
			}
			continue
		}
		labels := map[string]string{}
		for _, l := range regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`).FindAllStringSubmatch(m[2], -1) {
			labels[l[1]] = l[2]
		}
		series[m[1]] = append(series[m[1]], labels)
	}
	return series
}

// promQL is the few words of PromQL that a board is written in.
var (
	promWord    = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
	promMatcher = regexp.MustCompile(`^\s*(\w+)\s*(=~|!~|!=|=)\s*"(.*)"\s*$`)
	promGroup   = regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\(([^)]*)\)`)
	promRange   = regexp.MustCompile(`\[[^\]]*\]`)
	promMetric  = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\s*\{([^}]*)\})?`)
	promWords   = []string{"and", "or", "unless", "bool", "offset", "sum", "max", "min", "avg", "count"}
)

// selector is a metric in an expression with what it asks of its labels.
type selector struct {
	name     string
	matchers map[string]string // by label: the value asked for; "": any
}

// selectors finds what an expression needs: metrics, and the labels by which it
// groups.
func selectors(t *testing.T, expr string) (found []selector, groups []string) {
	for _, m := range promGroup.FindAllStringSubmatch(expr, -1) {
		groups = append(groups, promWord.FindAllString(m[1], -1)...)
	}
	rest := promRange.ReplaceAllString(promGroup.ReplaceAllString(expr, " "), " ")
	for _, at := range promMetric.FindAllStringSubmatchIndex(rest, -1) {
		name := rest[at[2]:at[3]]
		after := strings.TrimLeft(rest[at[1]:], " ")
		if strings.HasPrefix(after, "(") || slices.Contains(promWords, name) || at[0] > 0 && rest[at[0]-1] == '$' {
			continue // a function, a word, a variable of Grafana's
		}
		s := selector{name, map[string]string{}}
		if at[4] >= 0 {
			for _, part := range strings.Split(rest[at[4]:at[5]], ",") {
				m := promMatcher.FindStringSubmatch(part)
				if m == nil {
					t.Fatalf("%q in %s is no matcher", part, expr)
				}
				s.matchers[m[1]] = ""
				if m[2] == "=" && !strings.Contains(m[3], "$") {
					s.matchers[m[1]] = m[3]
				}
			}
		}
		found = append(found, s)
	}
	return found, groups
}

// board is what the test reads of docs/grafana/reasond.json.
type board struct {
	Templating struct {
		List []struct{ Name, Type, Query string }
	}
	Panels []struct {
		ID      int
		Type    string
		Title   string
		GridPos struct{ H, W, X, Y int }
		Targets []struct{ RefID, Expr, LegendFormat string }
	}
}

func readBoard(t *testing.T) board {
	t.Helper()
	data, err := os.ReadFile("../../docs/grafana/reasond.json")
	if err != nil {
		t.Fatal(err)
	}
	var b board
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// Every metric of the board is there after a few requests, with every label that
// the board filters, groups or names lines by.
func TestTheBoardShowsWhatMetricsExposes(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{StepTime: 200 * time.Microsecond})
	f.chat(t, ask(`"n":2`))
	f.streamChat(t, ask(`"stream":true`))
	series := exposed(t, f)
	check := func(where, expr string, legend []string) {
		found, groups := selectors(t, expr)
		if len(found) == 0 {
			t.Errorf("%s: no metric in %s", where, expr)
		}
		for _, s := range found {
			all, ok := series[s.name]
			if !ok {
				t.Errorf("%s: /metrics has no %s", where, s.name)
				continue
			}
			needed := slices.Concat(groups, legend)
			for label := range s.matchers {
				needed = append(needed, label)
			}
			for _, label := range needed {
				if !slices.ContainsFunc(all, func(labels map[string]string) bool { _, ok := labels[label]; return ok }) {
					t.Errorf("%s: %s has no label %s", where, s.name, label)
				}
			}
		}
	}
	b, ids, exprs := readBoard(t), map[int]bool{}, 0
	for _, p := range b.Panels {
		if ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d %s: its id is taken, or it does not fit", p.ID, p.Title)
		}
		if ids[p.ID] = true; p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			var legend []string
			for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				legend = append(legend, m[1])
			}
			check(p.Title, target.Expr, legend)
			exprs++
		}
	}
	for _, v := range b.Templating.List {
		if m := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(v.Query); m != nil {
			check("variable "+v.Name, m[1]+` {`+m[2]+`=~".*"}`, nil)
			exprs++
		} else if v.Type == "query" {
			t.Errorf("variable %s: %q is not understood", v.Name, v.Query)
		}
	}
	if exprs < 30 {
		t.Errorf("only %d expressions", exprs)
	}
}

// What the test above reads out of an expression, by hand.
func TestSelectorsOfAnExpression(t *testing.T) {
	found, groups := selectors(t, `histogram_quantile(0.95, sum by (le, phase) (rate(a_bucket{model=~"$model", x="y"}[$__rate_interval]))) / on (z) sum(b:c) > bool 1`)
	if len(found) != 2 || found[0].name != "a_bucket" || found[1].name != "b:c" || len(found[0].matchers) != 2 || found[0].matchers["x"] != "y" || strings.Join(groups, " ") != "le phase z" {
		t.Errorf("%v %v", found, groups)
	}
}

// The values of labels that the board asks for are those that there are.
func TestTheBoardAsksForReasonsThatThereAre(t *testing.T) {
	known := map[string][]string{"reasoning_stop": {"natural", "budget", "loop", "client", "length"}}
	for _, p := range readBoard(t).Panels {
		for _, target := range p.Targets {
			found, _ := selectors(t, target.Expr)
			for _, s := range found {
				for label, value := range s.matchers {
					if value != "" && !slices.Contains(known[label], value) {
						t.Errorf("%s: %s=%q", p.Title, label, value)
					}
				}
			}
		}
	}
}

func TestTheDocumentNamesEveryMetric(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{StepTime: 200 * time.Microsecond})
	f.chat(t, ask())
	data, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range exposed(t, f) {
		if name, ours := strings.CutPrefix(name, "reasond_"); ours {
			name = regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
			if !strings.Contains(string(data), "`"+name+"`") {
				t.Errorf("docs/api.md does not name %s", name)
			}
		}
	}
}
