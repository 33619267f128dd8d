package toolcall_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/lark/larktest"
	"github.com/reasond/reasond/internal/toolcall"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Law: in formats whose values are not JSON, schemas of every kind are held to, or
// the error says what cannot be.
func TestValuesOfEveryKind(t *testing.T) {
	r := larktest.NewRig(t, `<|"|>`, "<escape>")
	for _, c := range []struct{ schema, refused string }{
		{`{"properties":{"n":{"$ref":"#/$defs/node"}},"required":["n"],"$defs":{"node":{"type":"object","properties":{"v":{"type":"integer","minimum":0,"maximum":9},"kids":{"type":"array","items":{"$ref":"#/$defs/node"},"maxItems":1}},"required":["v"]}}}`, ""},
		{`{"properties":{"m":{"type":"object","additionalProperties":{"type":"boolean"}}},"required":["m"]}`, ""},
		{`{"properties":{"l":{"type":"array","items":{"enum":[null,true,"x",1.5]},"minItems":2,"maxItems":4}},"required":["l"]}`, ""},
		{`{"properties":{"a":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/s"}]},"b":{"oneOf":[{"type":"boolean"},{"type":"array","items":{"type":"boolean"},"maxItems":0}]}},"required":["a","b"],"$defs":{"s":{"type":"string","maxLength":3}}}`, ""},
		{`{"properties":{"x":{"type":["integer","boolean"],"minimum":1,"maximum":5},"y":{"const":false},"z":{"type":"string","pattern":"^(yes|no)$"}},"required":["z"]}`, ""},
		{`{"properties":{"l":{"type":"array","uniqueItems":true}}}`, "uniqueItems"},
		{`{"properties":{"o":{"type":"object","minProperties":1}}}`, "minProperties"},
		{`{"properties":{"o":{"not":{"type":"string"}}}}`, "not"},
	} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(c.schema))
		if err != nil {
			t.Fatal(err)
		}
		compiler := jsonschema.NewCompiler()
		if err := compiler.AddResource("s", doc); err != nil {
			t.Fatal(err)
		}
		valid, err := compiler.Compile("s")
		if err != nil {
			t.Fatal(err)
		}
		list, err := json.Marshal([]map[string]any{{"name": "f", "parameters": json.RawMessage(c.schema)}})
		if err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{"gemma", "functiongemma", "pythonic"} {
			d, err := toolcall.Lookup(format)
			if err != nil {
				t.Fatal(err)
			}
			source, err := d.Grammar(toolcall.Functions(list), toolcall.Writing{Marker: r.Marker, One: true})
			if c.refused != "" && format != "pythonic" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("%s: %s: %v", format, c.schema, err)
				}
				continue
			}
			if c.refused != "" {
				continue // JSON stands in
			}
			if err != nil {
				t.Errorf("%s: %s: %v", format, c.schema, err)
				continue
			}
			g, ended := r.Compile(t, source), 0
			for range 8 {
				text, whole := r.Walk(t, g, "", 800)
				if !whole {
					continue
				}
				ended++
				_, calls := toolcall.Parse(d, toolcall.ReadTools(list), text)
				if len(calls) != 1 {
					t.Errorf("%s: %q: calls %q", format, text, calls)
					continue
				}
				v, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(calls[0].Arguments)))
				if err == nil {
					err = valid.Validate(v)
				}
				if err != nil {
					t.Errorf("%s: %q is read back as %q: %v", format, text, calls[0].Arguments, err)
				}
			}
			if ended == 0 {
				t.Errorf("%s: %s: no walk ended", format, c.schema)
			}
		}
	}
}
