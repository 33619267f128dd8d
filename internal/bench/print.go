package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// units is the order in which units of multiplication are named.
var units = []string{"int8", "bfloat16", "float32"}

// Print writes a result for a reader: the machine, its limits, a table of the
// rows. With an earlier result the rows are compared with it.
func (r *Result) Print(w io.Writer, before *Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %.3g M parameters, %.4g MB in the file, %.4g MB packed\n", r.Model.Name, r.Model.Architecture,
		float64(r.Model.Parameters)/1e6, float64(r.Model.FileBytes)/1e6, float64(r.Model.WeightBytes)/1e6)
	fmt.Fprintf(&b, "%s\n", r.machine())
	for i := range r.Limits {
		fmt.Fprintf(&b, "%s\n", r.Limits[i].text())
	}
	b.WriteString("\n")
	if p := r.Perplexity; p != nil {
		fmt.Fprintf(&b, "perplexity %.4f ± %.4f over %d tokens in windows of %d\n", p.Value, p.Value*p.Error, p.Tokens, p.Window)
		if before != nil && before.Perplexity != nil {
			fmt.Fprintf(&b, "before     %.4f: %+.3f %%\n", before.Perplexity.Value, 100*(p.Value/before.Perplexity.Value-1))
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil || len(r.Rows) == 0 {
		return err
	}
	return r.Table(before).Print(w)
}

func (r *Result) machine() string {
	line := fmt.Sprintf("%s, %d cores, %s", r.Machine.CPU, r.Machine.Cores, r.Machine.Backend)
	if r.Machine.ISA != "" {
		line += ", " + r.Machine.ISA + " kernels"
	}
	return fmt.Sprintf("%s, reasond %s, %s", line, r.Version, r.Date.Format("2006-01-02 15:04 MST"))
}

func (l *Limits) text() string {
	line := fmt.Sprintf("limits with %s: memory %.1f GB/s (%.1f at best)", threads(l.Threads), l.Read, l.ReadBest)
	for _, unit := range units {
		if v := l.Multiply[unit]; v > 0 {
			line += fmt.Sprintf(", %s %.0f Gop/s", unit, v)
		}
	}
	return line
}

func threads(n int) string {
	if n == 1 {
		return "1 thread"
	}
	return fmt.Sprintf("%d threads", n)
}

// Table is the rows. "bandwidth" is what of the memory's speed reading a step's
// bytes once comes to, "multipliers" what of the peak its operations come to.
func (r *Result) Table(before *Result) *Table {
	t := &Table{Header: []string{"test", "threads", "tokens/s", "±", "bandwidth", "multipliers"}}
	speeds := before.speeds()
	if before != nil {
		t.Header = append(t.Header, "before", "ratio")
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		cells := []any{row.String(), row.Threads, row.Speed, row.Spread, percent(row.Bandwidth), row.peak()}
		if old := speeds[row.key()]; old > 0 {
			cells = append(cells, old, fmt.Sprintf("%.3f", row.Speed/old))
		} else if before != nil {
			cells = append(cells, nil, nil)
		}
		t.Add(cells...)
	}
	return t
}

func percent(v *float64) any {
	if v == nil {
		return nil
	}
	return fmt.Sprintf("%.0f %%", 100**v)
}

// peak is the share of the multipliers' peak, with the unit that does most.
func (r *Row) peak() any {
	if r.Peak == nil || len(r.Ops) == 0 {
		return nil
	}
	most := slices.MaxFunc(slices.Sorted(maps.Keys(r.Ops)), func(a, b string) int {
		if r.Ops[a] < r.Ops[b] {
			return -1
		}
		return 1
	})
	return fmt.Sprintf("%.0f %% of %s", 100**r.Peak, most)
}

// Comparable says whether an earlier run has any of the measurements.
func (r *Result) Comparable(before *Result) bool {
	speeds := before.speeds()
	for i := range r.Rows {
		if _, has := speeds[r.Rows[i].key()]; has {
			return true
		}
	}
	return r.Perplexity != nil && before.Perplexity != nil
}

// Worse lists what is worse than before by more than a share: rows by their
// speed, perplexity by its value.
func (r *Result) Worse(before *Result, share float64) []string {
	speeds := before.speeds()
	var list []string
	for i := range r.Rows {
		row := &r.Rows[i]
		if old := speeds[row.key()]; old > 0 && row.Speed < old*(1-share) {
			list = append(list, fmt.Sprintf("%s, %d threads: %.1f tokens/s, before %.1f", row, row.Threads, row.Speed, old))
		}
	}
	if p, old := r.Perplexity, before.Perplexity; p != nil && old != nil && !(p.Value <= old.Value*(1+share)) {
		list = append(list, fmt.Sprintf("perplexity %.4f, before %.4f", p.Value, old.Value))
	}
	return list
}
