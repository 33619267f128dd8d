// Package plot draws measurements: charts as SVG, and a page of tables and charts
// as one HTML file that needs nothing else. It knows nothing of what was measured.
package plot

// Kind is how a chart's series are drawn.
type Kind int

// The kinds. Lines join points in the order of x; Dots do not join them; Bars
// stand beside each other over Chart.Names.
const (
	Lines Kind = iota
	Dots
	Bars
)

// Chart is some series over one pair of axes.
type Chart struct {
	Title string
	X, Y  string // what the axes show, with units
	Kind  Kind
	LogX  bool     // a step to the right doubles x; all x are above 0
	Names []string // of Bars: what stands at each place
	Top   float64  // y that the axis reaches at least; 0: as far as the values
	Lists []Series
}

// Series is one line, cloud of dots or colour of bars.
type Series struct {
	Name   string
	X, Y   []float64 // equal numbers; of Bars, X is not read
	Dashed bool      // what the others are compared with
	Colour int       // the place, from 1 on, of the series whose colour this one has; 0: its own place
}

// CDF is a series of the share of values, in percent, that are at most x.
func CDF(name string, sorted []float64) Series {
	s := Series{Name: name}
	const most = 400 // points are enough for a line
	for i, v := range sorted {
		if len(sorted) > most && i%(len(sorted)/most) != 0 && i != len(sorted)-1 {
			continue
		}
		s.X, s.Y = append(s.X, v), append(s.Y, 100*float64(i+1)/float64(len(sorted)))
	}
	return s
}
