package toolcall_test

import (
	"encoding/json"
	"testing"

	"github.com/reasond/reasond/internal/lark/larktest"
	"github.com/reasond/reasond/internal/toolcall"
)

// Law: a name is written so that it is read back, or refused.
func TestOddNamesAreReadBackOrRefused(t *testing.T) {
	r := larktest.NewRig(t)
	written := 0
	for _, format := range toolcall.Names() {
		d, err := toolcall.Lookup(format)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"f", "a.b-c_d", "9lives", "a b", "é", `a"b`, "a<b", "a>b", "a{b", "a[b", "a(b", "a:b", "a=b", "a\nb", " a", "a\\b", "null"} {
			for _, key := range []string{"", name} {
				tools := []map[string]any{{"name": "f", "parameters": map[string]any{"properties": map[string]any{key: map[string]any{"const": 7}}, "required": []string{key}}}}
				want := toolcall.Call{Name: "f", Arguments: mustJSON(t, map[string]any{key: 7})}
				if key == "" {
					tools, want = []map[string]any{{"name": name}}, toolcall.Call{Name: name, Arguments: "{}"}
				}
				list := json.RawMessage(mustJSON(t, tools))
				source, err := d.Grammar(toolcall.Functions(list), toolcall.Writing{Marker: r.Marker, One: true})
				if err != nil {
					if name == "f" {
						t.Errorf("%s: %v", format, err)
					}
					continue
				}
				text, whole := r.Walk(t, r.Compile(t, source), "", 500)
				if !whole {
					t.Fatalf("%s: %q does not end", format, text)
				}
				written++
				_, calls := toolcall.Parse(d, toolcall.ReadTools(list), text)
				if len(calls) != 1 || calls[0].Name != want.Name || !sameArguments(calls[0].Arguments, want.Arguments) {
					t.Errorf("%s, name %q, parameter %q: %q is read back as %q", format, want.Name, key, text, calls)
				}
			}
		}
	}
	if written < 150 {
		t.Errorf("only %d names are written", written)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func sameArguments(a, b string) bool {
	var x, y map[string]any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && len(x) == len(y) && func() bool {
		for k := range x {
			if x[k] != y[k] {
				return false
			}
		}
		return true
	}()
}
