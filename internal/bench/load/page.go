package load

import (
	"io"
	"slices"
	"time"

	"github.com/reasond/reasond/internal/bench/plot"
)

// HTML writes the result as a page: a table, how times are distributed, and what
// happened when.
func (r *Result) HTML(w io.Writer) error {
	t := r.Table()
	p := plot.Page{Title: "reasond bench --url " + r.URL, Lines: append([]string{r.line()}, r.remarks()...)}
	p.Sections = []plot.Section{
		{Title: "Levels", Header: t.Header, Rows: t.Rows, Note: "TTFT: to the first token; answer: to the first token that is no reasoning; ITL: from delta to delta; e2e: the whole request."},
		{Title: "Distributions", Note: "Share of requests, or of gaps, that took at most so long.", Charts: r.distributions()},
		{Title: "In time", Charts: r.series()},
	}
	return p.Write(w)
}

func (r *Result) distributions() []plot.Chart {
	all := make([]lists, len(r.outcomes))
	for i, out := range r.outcomes {
		all[i] = listsOf(out.Requests)
	}
	var charts []plot.Chart
	for _, c := range []struct {
		title string
		list  func(*lists) []time.Duration
	}{
		{"Time to the first token", func(l *lists) []time.Duration { return l.ttft }},
		{"Time to the first token of the answer", func(l *lists) []time.Duration { return l.answer }},
		{"Time from token to token", func(l *lists) []time.Duration { return l.itl }},
		{"Time of the whole request", func(l *lists) []time.Duration { return l.e2e }},
	} {
		chart := plot.Chart{Title: c.title, X: "ms", Y: "%", Top: 100}
		for i := range all {
			if ms := milliseconds(c.list(&all[i])); len(ms) > 0 {
				slices.Sort(ms)
				chart.Lists = append(chart.Lists, plot.CDF(r.Levels[i].name(), ms))
			}
		}
		if len(chart.Lists) > 0 {
			charts = append(charts, chart)
		}
	}
	return charts
}

func (r *Result) series() []plot.Chart {
	speed := plot.Chart{Title: "Tokens that came", X: "s", Y: "tokens/s"}
	busy := plot.Chart{Title: "Requests under way", X: "s", Y: "requests"}
	first := plot.Chart{Title: "Time to the first token, by when the request began", X: "s", Y: "ms", Kind: plot.Dots}
	for i, out := range r.outcomes {
		name := r.Levels[i].name()
		tokens, under := overTime(out)
		tokens.Name, under.Name = name, name
		speed.Lists, busy.Lists = append(speed.Lists, tokens), append(busy.Lists, under)
		dots := plot.Series{Name: name}
		for j := range out.Requests {
			if q := &out.Requests[j]; q.First > 0 {
				dots.X, dots.Y = append(dots.X, q.Start.Seconds()), append(dots.Y, float64(q.First)/float64(time.Millisecond))
			}
		}
		first.Lists = append(first.Lists, dots)
	}
	return []plot.Chart{speed, busy, first}
}

// slices of time that a run is cut into.
const pieces = 120

// overTime is how many tokens a second came in each piece of time, and how many
// requests were under way in its middle.
func overTime(out *Outcome) (tokens, under plot.Series) {
	piece := max(out.Wall/pieces, 100*time.Millisecond)
	n := int(out.Wall/piece) + 1
	came, open := make([]float64, n), make([]float64, n)
	for i := range out.Requests {
		r := &out.Requests[i]
		each := float64(r.tokens()) / float64(max(len(r.At), 1))
		for _, at := range r.At {
			came[min(int((r.Start+at)/piece), n-1)] += each
		}
		for k := range open {
			if middle := piece*time.Duration(k) + piece/2; r.Start <= middle && middle < r.Start+r.Total {
				open[k]++
			}
		}
	}
	for k := range n {
		at := (piece*time.Duration(k) + piece/2).Seconds()
		tokens.X, under.X = append(tokens.X, at), append(under.X, at)
		tokens.Y, under.Y = append(tokens.Y, came[k]/piece.Seconds()), append(under.Y, open[k])
	}
	return tokens, under
}
