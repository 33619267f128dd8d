package toolcall_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/lark/larktest"
	"github.com/reasond/reasond/internal/toolcall"
)

// Law: whatever the grammar of calls allows is read back by the format's parser
// as calls of the functions with arguments of their schemas, and nothing else,
// whether or not its markers are control tokens, and at any cut; where one call
// is due there is one.
func TestWhatIsDueIsReadBack(t *testing.T) {
	for _, name := range toolcall.Names() {
		d, err := toolcall.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			for _, control := range []bool{true, false} {
				r := larktest.NewRig(t)
				if control {
					r = larktest.NewRig(t, larktest.Markers(t, d.Grammar)...)
				}
				several := 0
				for _, one := range []bool{false, true} {
					source, err := d.Grammar(larktest.Functions(t), toolcall.Writing{Marker: r.Marker, One: one})
					if err != nil {
						t.Fatal(err)
					}
					g := r.Compile(t, source)
					ended := 0
					for range 16 {
						text, whole := r.Walk(t, g, "", 1500)
						if !whole {
							continue
						}
						ended++
						content, calls := readBack(d, text)
						if strings.TrimSpace(content) != "" || len(calls) == 0 || one && len(calls) != 1 {
							t.Errorf("control %v, one %v: %q: content %q, calls %q", control, one, text, content, calls)
						}
						for _, c := range calls {
							if err := r.Check(c.Name, c.Arguments); err != nil {
								t.Errorf("control %v: %q: %v", control, text, err)
							}
						}
						several += len(calls) - 1
					}
					if ended < 3 {
						t.Errorf("control %v, one %v: only %d of 16 walks ended", control, one, ended)
					}
				}
				if several == 0 {
					t.Errorf("control %v: never more than one call", control)
				}
			}
		})
	}
}

// readBack reads an answer whole and byte by byte, which must be the same.
func readBack(d *toolcall.Descriptor, text string) (content string, calls []toolcall.Call) {
	tools := toolcall.ReadTools(json.RawMessage(larktest.Tools))
	content, calls = toolcall.Parse(d, tools, text)
	p := d.New(tools)
	var again []toolcall.Call
	pieces := []toolcall.Piece{}
	for i := range len(text) {
		pieces = p.Feed(pieces, text[i:i+1])
	}
	for _, piece := range p.Close(pieces) {
		switch piece.Kind {
		case toolcall.Begin:
			again = append(again, toolcall.Call{Name: piece.Text})
		case toolcall.Arguments:
			again[len(again)-1].Arguments += piece.Text
		}
	}
	if len(again) != len(calls) {
		return content, append(calls, toolcall.Call{Name: "cut byte by byte there are others"})
	}
	for i := range calls {
		if again[i] != calls[i] {
			calls[i].Name += ", cut byte by byte another"
		}
	}
	return content, calls
}
