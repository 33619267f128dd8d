package reasoning

import "strings"

// Split parses a whole text from the start given.
func (d Descriptor) Split(start Start, text string) (reasoning, content string) {
	p := d.New(start)
	return Join(p.Close(p.Feed(nil, text)))
}

// Join puts the texts of reasoning and content together; tool segments are
// neither.
func Join(segments []Segment) (reasoning, content string) {
	var r, c strings.Builder
	for _, s := range segments {
		switch s.Kind {
		case Reasoning:
			r.WriteString(s.Text)
		case Content:
			c.WriteString(s.Text)
		}
	}
	return r.String(), c.String()
}
