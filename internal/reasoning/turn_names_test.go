package reasoning

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/lark/larktest"
)

// Law: a name is written so that it is read back, or refused.
func TestOddNamesAreReadBackOrRefused(t *testing.T) {
	callers(t, func(t *testing.T, d reasoning.Descriptor) {
		r := larktest.NewRig(t, larktest.Markers(t, d.Grammar, "atem")...)
		written := 0
		for _, name := range []string{"f", "a.b-c_d", "9lives", "user", "a b", "é", `a"b`, "a<b", "a{b", "a:b", "a=b", "a&b", "a\nb", " a", `a\b`} {
			for _, f := range []reasoning.Function{
				{Name: name},
				{Name: "f", Parameters: json.RawMessage(`{"properties":{` + quoted(name) + `:{"const":"v"}},"required":[` + quoted(name) + `]}`)},
			} {
				source, err := d.Grammar([]reasoning.Function{f}, reasoning.Writing{Marker: r.Marker, One: true})
				if err != nil {
					continue
				}
				text, whole := r.Walk(t, r.Compile(t, source), "", 3000)
				if !whole {
					continue
				}
				written++
				_, content, calls := answerOf(d, reasoning.Start{Open: reasoning.OpenNo, HasTools: true}, text)
				want := map[string]any{}
				if f.Parameters != nil {
					want[name] = "v"
				}
				got := map[string]any{}
				if len(calls) == 1 {
					if err := json.Unmarshal([]byte(calls[0].Arguments), &got); err != nil {
						t.Errorf("%q: %v", text, err)
					}
				}
				if len(calls) != 1 || calls[0].Name != f.Name || !reflect.DeepEqual(got, want) {
					t.Errorf("function %q, parameters %s: %q is read back as %q, content %q", f.Name, f.Parameters, text, calls, content)
				}
			}
		}
		if written < 4 {
			t.Errorf("only %d names are written", written)
		}
	})
}

func quoted(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string
	}
	return string(data)
}
