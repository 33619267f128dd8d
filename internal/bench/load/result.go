package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/reasond/reasond/internal/bench"
)

// Schema is the version of Result's JSON, as with bench.Schema.
const Schema = 1

// Result is what `reasond bench --url` writes with --json.
type Result struct {
	Schema  int       `json:"schema"`
	Version string    `json:"version"` // of reasond, the client
	Date    time.Time `json:"date"`
	URL     string    `json:"url"`
	Model   string    `json:"model"`
	Levels  []Level   `json:"levels"`

	outcomes []*Outcome // one a level, for the page's plots
}

// Add takes a run in.
func (r *Result) Add(cfg *Config, out *Outcome) {
	r.Levels, r.outcomes = append(r.Levels, *Summary(cfg, out)), append(r.outcomes, out)
}

// name is what a level is called in tables and plots.
func (l *Level) name() string {
	if l.Rate > 0 {
		return fmt.Sprintf("%g requests/s", l.Rate)
	}
	if l.Concurrency == 1 {
		return "1 client"
	}
	return fmt.Sprintf("%d clients", l.Concurrency)
}

// Table has a row a level; times are milliseconds.
func (r *Result) Table() *bench.Table {
	t := &bench.Table{Header: []string{
		"load", "requests", "tokens/s", "requests/s", "prompt", "answer", "TTFT p50", "p99", "answer p50", "p99", "ITL p50", "p99", "e2e p50", "p99", "goodput/s", "SLO kept",
	}}
	for i := range r.Levels {
		l := &r.Levels[i]
		cells := []any{l.name(), fmt.Sprintf("%d/%d", l.OK, l.Requests), l.Output, l.Served, l.PromptTokens, l.CompletionTokens}
		for _, times := range []*Times{l.TTFT, l.Answer, l.ITL, l.E2E} {
			if times == nil {
				cells = append(cells, nil, nil)
				continue
			}
			cells = append(cells, times.P50, times.P99)
		}
		if l.SLO == "" {
			cells = append(cells, nil, nil)
		} else {
			cells = append(cells, l.Goodput, fmt.Sprintf("%.0f %%", 100*l.Kept))
		}
		t.Add(cells...)
	}
	return t
}

// Print writes the result for a reader.
func (r *Result) Print(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s\n\n", r.line()); err != nil {
		return err
	}
	if err := r.Table().Print(w); err != nil {
		return err
	}
	for _, line := range r.remarks() {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func (r *Result) line() string {
	return fmt.Sprintf("%s, model %s, %s; times in milliseconds", r.URL, r.Model, r.Date.Format("2006-01-02 15:04 MST"))
}

// remarks are what the table has no columns for.
func (r *Result) remarks() []string {
	var list []string
	for i := range r.Levels {
		l := &r.Levels[i]
		var parts []string
		for _, kind := range slices.Sorted(maps.Keys(l.Errors)) {
			parts = append(parts, fmt.Sprintf("%d × %s (%s)", l.Errors[kind], kind, l.Says[kind]))
		}
		if l.Interrupted > 0 {
			parts = append(parts, fmt.Sprintf("%d cut by the end of the run", l.Interrupted))
		}
		if l.TokensPerDelta > 1.1 {
			parts = append(parts, fmt.Sprintf("%.2f tokens a delta, so a gap is of several tokens", l.TokensPerDelta))
		}
		if len(parts) > 0 {
			list = append(list, l.name()+": "+strings.Join(parts, "; "))
		}
	}
	return list
}
