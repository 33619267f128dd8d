package plot

import (
	"encoding/xml"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestTicksAreRoundAndReachTheTop(t *testing.T) {
	for _, c := range []struct {
		top  float64
		want []float64
	}{
		{100, []float64{0, 20, 40, 60, 80, 100}}, {4.3, []float64{0, 1, 2, 3, 4, 5}}, {0.07, []float64{0, 0.02, 0.04, 0.06, 0.08}},
		{0, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}}, {math.Inf(1), []float64{0, 0.2, 0.4, 0.6, 0.8, 1}},
	} {
		got := ticks(c.top, 5)
		if !slices.EqualFunc(got, c.want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) {
			t.Errorf("up to %g: %v, must be %v", c.top, got, c.want)
		}
	}
	if got := powers(1, 16); !slices.Equal(got, []float64{1, 2, 4, 8, 16}) {
		t.Errorf("powers %v", got)
	}
	if got := powers(3, 3); !slices.Equal(got, []float64{2, 4}) {
		t.Errorf("powers around 3: %v", got)
	}
}

func TestACDFEndsAtAllValues(t *testing.T) {
	s := CDF("x", []float64{1, 2, 2, 9})
	if !slices.Equal(s.X, []float64{1, 2, 2, 9}) || !slices.Equal(s.Y, []float64{25, 50, 75, 100}) {
		t.Errorf("%+v", s)
	}
	many := make([]float64, 12345)
	for i := range many {
		many[i] = float64(i)
	}
	if s := CDF("x", many); len(s.X) > 500 || s.X[len(s.X)-1] != 12344 || s.Y[len(s.Y)-1] != 100 {
		t.Errorf("%d points of %d values, the last at %g %%", len(s.X), len(many), s.Y[len(s.Y)-1])
	}
}

// Whatever is drawn lies in the picture and is XML; names are text in it.
func TestEveryChartIsAPictureThatHoldsWhatItShows(t *testing.T) {
	const name = `<b>&"x"`
	for what, c := range map[string]Chart{
		"lines":   {Kind: Lines, Lists: []Series{{Name: name, X: []float64{1, 2, 300}, Y: []float64{0, 5, 17}}, {Name: "b", Dashed: true, X: []float64{2}, Y: []float64{3}}}},
		"doubles": {Kind: Lines, LogX: true, Lists: []Series{{Name: name, X: []float64{1, 64}, Y: []float64{10, 90}}}},
		"dots":    {Kind: Dots, Top: 100, Lists: []Series{{Name: name, X: []float64{0.5}, Y: []float64{1e7}}}},
		"bars":    {Kind: Bars, Names: []string{name, "a name that is far too long for its place"}, Lists: []Series{{Name: name, Y: []float64{3, math.NaN()}}, {Name: "c", Y: []float64{1}}}},
		"nothing": {Kind: Lines}, "no bars": {Kind: Bars}, "empty series": {Kind: Lines, LogX: true, Lists: []Series{{Name: name}}},
	} {
		c.Title, c.X, c.Y = name, "x", "y"
		svg := c.SVG()
		if strings.Contains(svg, "<b>") || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s: %s", what, svg)
		}
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			checkInside(t, what, token)
		}
	}
}

func checkInside(t *testing.T, what string, token xml.Token) {
	e, ok := token.(xml.StartElement)
	if !ok || e.Name.Local != "circle" && e.Name.Local != "rect" {
		return
	}
	for _, a := range e.Attr {
		var v float64
		switch a.Name.Local {
		case "cx", "cy", "x", "y":
			if err := xml.Unmarshal([]byte("<v>"+a.Value+"</v>"), &v); err != nil || v < 0 || v > width {
				t.Errorf("%s: %s is at %s=%s", what, e.Name.Local, a.Name.Local, a.Value)
			}
		}
	}
}

func TestThePageNeedsNothingElse(t *testing.T) {
	var b strings.Builder
	p := Page{Title: "<t>", Lines: []string{"a & b"}, Sections: []Section{{
		Title: "s", Header: []string{"h"}, Rows: [][]string{{"<td>"}}, Charts: []Chart{{Title: "c", Lists: []Series{{Name: "n", X: []float64{1}, Y: []float64{2}}}}},
	}}}
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{"&lt;t&gt;", "a &amp; b", "&lt;td&gt;", "<svg", "</html>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	for _, other := range []string{"http://", "https://", "src=", "<script", "@import"} {
		if strings.Contains(page, other) {
			t.Errorf("the page has %s", other)
		}
	}
}
