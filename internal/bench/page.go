package bench

import (
	"fmt"
	"io"
	"math"

	"github.com/reasond/reasond/internal/bench/plot"
)

// HTML writes the result as a page with plots, beside an earlier one if there is
// one.
func (r *Result) HTML(w io.Writer, before *Result) error {
	p := plot.Page{Title: "reasond bench: " + r.Model.Name, Lines: []string{r.machine()}}
	for i := range r.Limits {
		p.Lines = append(p.Lines, r.Limits[i].text())
	}
	if v := r.Perplexity; v != nil {
		p.Lines = append(p.Lines, fmt.Sprintf("perplexity %.4f over %d tokens in windows of %d", v.Value, v.Tokens, v.Window))
	}
	if len(r.Rows) > 0 {
		t := r.Table(before)
		p.Sections = append(p.Sections, plot.Section{
			Title: "Speed", Header: t.Header, Rows: t.Rows,
			Note:   "Medians; ± is the distance of the quartiles. Bandwidth: the packed weights, keys and values of a step, read once, over the memory's measured speed. Multipliers: the operations of the matrices over the measured peak of the unit that does them.",
			Charts: r.charts(before),
		})
	}
	return p.Write(w)
}

func (r *Result) charts(before *Result) []plot.Chart {
	decode := plot.Chart{Title: "Decoding, all sequences together", X: "sequences", Y: "tokens/s", LogX: true, Lists: r.lines(false)}
	prefill := plot.Chart{Title: "Prefill", Y: "tokens/s", Kind: plot.Bars}
	share := plot.Chart{Title: "Share of the machine's limits", Y: "%", Kind: plot.Bars, Top: 100}
	bandwidth, peak := plot.Series{Name: "bandwidth"}, plot.Series{Name: "multipliers"}
	speeds, old := plot.Series{Name: "tokens/s"}, plot.Series{Name: "before", Dashed: true, Colour: 1}
	earlier := before.speeds()
	for i := range r.Rows {
		row := &r.Rows[i]
		name := row.String()
		if len(r.Limits) > 1 {
			name += fmt.Sprintf(", %d t", row.Threads)
		}
		share.Names = append(share.Names, name)
		bandwidth.Y, peak.Y = append(bandwidth.Y, orNaN(row.Bandwidth)), append(peak.Y, orNaN(row.Peak))
		if row.Test == PrefillTest {
			prefill.Names = append(prefill.Names, name)
			speeds.Y, old.Y = append(speeds.Y, row.Speed), append(old.Y, earlier[row.key()])
		}
	}
	share.Lists, prefill.Lists = []plot.Series{bandwidth, peak}, []plot.Series{speeds}
	if before != nil {
		decode.Lists = append(decode.Lists, before.lines(true)...)
		prefill.Lists = append(prefill.Lists, old)
	}
	var list []plot.Chart
	if len(decode.Lists) > 0 {
		list = append(list, decode)
	}
	if len(prefill.Names) > 0 {
		list = append(list, prefill)
	}
	if len(r.Limits) > 0 {
		list = append(list, share)
	}
	return list
}

func orNaN(share *float64) float64 {
	if share == nil {
		return math.NaN()
	}
	return 100 * *share
}

// lines are the speeds of decoding over the number of sequences, a line for each
// depth, length and number of threads.
func (r *Result) lines(before bool) []plot.Series {
	var list []plot.Series
	at := map[key]int{}
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Test != DecodeTest {
			continue
		}
		k := row.key()
		k.batch = 0
		n, ok := at[k]
		if !ok {
			n, at[k] = len(list), len(list)
			name := fmt.Sprintf("depth %d, %s", row.Depth, threads(row.Threads))
			if before {
				name = "before: " + name
			}
			list = append(list, plot.Series{Name: name, Dashed: before, Colour: n + 1})
		}
		list[n].X, list[n].Y = append(list[n].X, float64(row.Batch)), append(list[n].Y, row.Speed)
	}
	return list
}
