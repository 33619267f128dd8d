package plot

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// The picture's measures, in its own units.
const (
	width, height            = 640, 320
	left, right, top, bottom = 64, 16, 40, 52
	innerWidth, innerHeight  = width - left - right, height - top - bottom
	legendHeight             = 18
	letter, aslant           = 7, 44 // a letter's width; what names aslant take below
)

// colours are told apart by those who see few of them too (Okabe and Ito).
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c", "#000000"}

func (s *Series) colour(place int) string {
	if s.Colour > 0 {
		place = s.Colour - 1
	}
	return colours[place%len(colours)]
}

// SVG is the chart as an element to put into a page, whose style gives text and
// grid their colours.
func (c *Chart) SVG() string {
	p := &picture{chart: c}
	rows := (len(c.Lists) + 2) / 3 // of the legend
	if len(c.Lists) < 2 {
		rows = 0
	}
	p.scale()
	p.printf(`<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, height+p.below+rows*legendHeight, html.EscapeString(c.Title))
	p.printf(`<text class="title" x="%d" y="18">%s</text>`, left, html.EscapeString(c.Title))
	p.axes()
	if c.Kind == Bars {
		p.bars()
	} else {
		p.curves()
	}
	if rows > 0 {
		p.legend()
	}
	p.printf("</svg>")
	return p.b.String()
}

type picture struct {
	b              strings.Builder
	chart          *Chart
	xTicks, yTicks []float64
	below          int // more room below the axis
}

func (p *picture) printf(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

// scale chooses the axes' ticks, which are the axes' ends too.
func (p *picture) scale() {
	least, most, high := math.Inf(1), math.Inf(-1), p.chart.Top
	for _, s := range p.chart.Lists {
		for _, x := range s.X {
			least, most = min(least, x), max(most, x)
		}
		for _, y := range s.Y {
			if !math.IsNaN(y) {
				high = max(high, y)
			}
		}
	}
	p.yTicks = ticks(high, 5)
	for _, name := range p.chart.Names {
		if letter*len(name) > innerWidth/len(p.chart.Names) {
			p.below = aslant
		}
	}
	switch {
	case p.chart.Kind == Bars || math.IsInf(least, 0):
	case p.chart.LogX:
		p.xTicks = powers(least, most)
	default:
		p.xTicks = ticks(most, 7)
	}
}

func (p *picture) x(v float64) float64 {
	if len(p.xTicks) == 0 {
		return left
	}
	from, to := p.xTicks[0], p.xTicks[len(p.xTicks)-1]
	if p.chart.LogX {
		v, from, to = math.Log2(v), math.Log2(from), math.Log2(to)
	}
	return left + innerWidth*(v-from)/(to-from)
}

func (p *picture) y(v float64) float64 {
	return top + innerHeight*(1-v/p.yTicks[len(p.yTicks)-1])
}

func (p *picture) axes() {
	for _, v := range p.yTicks {
		p.printf(`<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, left, width-right, p.y(v), p.y(v))
		p.printf(`<text class="tick" text-anchor="end" x="%d" y="%.1f">%s</text>`, left-6, p.y(v)+4, label(v))
	}
	for _, v := range p.xTicks {
		p.printf(`<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, p.x(v), p.x(v), height-bottom, height-bottom+4)
		p.printf(`<text class="tick" text-anchor="middle" x="%.1f" y="%d">%s</text>`, p.x(v), height-bottom+17, label(v))
	}
	p.printf(`<text class="axis" text-anchor="middle" x="%d" y="%d">%s</text>`, left+innerWidth/2, height-bottom+36, html.EscapeString(p.chart.X))
	p.printf(`<text class="axis" x="4" y="%d">%s</text>`, top-8, html.EscapeString(p.chart.Y))
}

func (p *picture) curves() {
	for i, s := range p.chart.Lists {
		if p.chart.Kind == Lines {
			var path strings.Builder
			for j := range s.X {
				fmt.Fprintf(&path, "%.1f,%.1f ", p.x(s.X[j]), p.y(s.Y[j]))
			}
			p.printf(`<polyline fill="none" stroke="%s" stroke-width="2"%s points="%s"/>`, s.colour(i), dashes(s), strings.TrimSpace(path.String()))
		}
		if p.chart.Kind == Lines && len(s.X) > 24 {
			continue
		}
		for j := range s.X {
			p.printf(`<circle fill="%s" cx="%.1f" cy="%.1f" r="3"><title>%s: %s, %s</title></circle>`,
				s.colour(i), p.x(s.X[j]), p.y(s.Y[j]), html.EscapeString(s.Name), label(s.X[j]), label(s.Y[j]))
		}
	}
}

func dashes(s Series) string {
	if s.Dashed {
		return ` stroke-dasharray="6 4"`
	}
	return ""
}

// bars stand in groups, one a name. Names that would run into each other are
// written aslant.
func (p *picture) bars() {
	groups := len(p.chart.Names)
	if groups == 0 {
		return
	}
	group := float64(innerWidth) / float64(groups)
	bar := min(group*0.8/float64(len(p.chart.Lists)), 40)
	for g, name := range p.chart.Names {
		middle := left + group*(float64(g)+0.5)
		for i, s := range p.chart.Lists {
			if g >= len(s.Y) || math.IsNaN(s.Y[g]) {
				continue
			}
			x, opacity := middle+bar*(float64(i)-float64(len(p.chart.Lists))/2), 1.0
			if s.Dashed {
				opacity = 0.5
			}
			p.printf(`<rect fill="%s" fill-opacity="%g" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s, %s: %s</title></rect>`, s.colour(i), opacity,
				x+0.5, p.y(s.Y[g]), bar-1, max(0, float64(height-bottom)-p.y(s.Y[g])), html.EscapeString(name), html.EscapeString(s.Name), label(s.Y[g]))
		}
		if p.below == 0 {
			p.printf(`<text class="tick" text-anchor="middle" x="%.1f" y="%d">%s</text>`, middle, height-bottom+17, html.EscapeString(name))
		} else {
			p.printf(`<text class="tick" text-anchor="end" transform="translate(%.1f %d) rotate(-30)">%s</text>`, middle+4, height-bottom+12, html.EscapeString(name))
		}
	}
}

// legend has three names a line below the axes.
func (p *picture) legend() {
	for i, s := range p.chart.Lists {
		x, y := left+i%3*innerWidth/3, height+p.below+i/3*legendHeight
		p.printf(`<line stroke="%s" stroke-width="3"%s x1="%d" x2="%d" y1="%d" y2="%d"/>`, s.colour(i), dashes(s), x, x+18, y, y)
		p.printf(`<text class="tick" x="%d" y="%d">%s</text>`, x+24, y+4, html.EscapeString(s.Name))
	}
}
