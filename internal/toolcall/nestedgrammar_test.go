package toolcall_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/native"
	"github.com/reasond/reasond/internal/toolcall"
)

// What the chat template writes, its grammar takes: members that may be missing,
// strings as they are, lists and objects as tags; and what it does not write, not.
func TestNestedGrammarsTakeWhatTheTemplateWrites(t *testing.T) {
	const tools = `[{"name":"f","parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"},
		"tags":{"type":"array","items":{"type":"string"},"minItems":1,"maxItems":2},"at":{"type":"object","properties":{"x":{"type":"number"},"deep":{"type":"array","items":{"type":"boolean"}}},"required":["x"]},
		"odd":{"type":"object","additionalProperties":{"type":"integer"}}},"required":["city"]}}]`
	lib, _, trie, _ := tinyVocabulary(t)
	d, err := toolcall.Lookup("minimax-m3")
	if err != nil {
		t.Fatal(err)
	}
	source, err := d.Grammar(toolcall.Functions(json.RawMessage(tools)), toolcall.Writing{Marker: func(string) (int32, bool) { return 0, false }})
	if err != nil {
		t.Fatal(err)
	}
	g, err := trie.Compile(native.Lark, source)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for inside, takes := range map[string]bool{
		"¶<city>a < b\n¶</city>": true,
		"¶<city>a¶</city>¶<days>3¶</days>¶<tags>¶<item>1¶</item>¶<item>¶</item>¶</tags>": true,
		"¶<city>a¶</city>¶<at>¶<x>1.5¶</x>¶</at>":                                        true,
		"¶<city>a¶</city>¶<at>¶<x>1¶</x>¶<deep>¶</deep>¶</at>":                           true,
		"¶<city>a¶</city>¶<odd>{\"a\": 1}¶</odd>":                                        true,
		"":                                 false,
		"¶<days>3¶</days>":                 false,
		"¶<city>a¶</city>¶<days>x¶</days>": false,
		"¶<city>a¶</city>¶<tags>¶</tags>":  false,
		"¶<city>a¶</city>¶<tags>[\"a\"]¶</tags>":     false,
		"¶<city>a¶</city>¶<at>¶<deep>¶</deep>¶</at>": false,
		"¶<city>a¶</city>¶<other>1¶</other>":         false,
	} {
		text := strings.ReplaceAll("¶<tool_call>\n¶<invoke name=\"f\">"+inside+"¶</invoke>\n¶</tool_call>", "¶", "]<]minimax[>[")
		ids, err := lib.Encode(text, false, true)
		if err != nil {
			t.Fatal(err)
		}
		m, err := g.Matcher()
		if err != nil {
			t.Fatal(err)
		}
		a, err := m.Accept(ids)
		if taken := err == nil && a.Taken == len(ids) && (a.Accepting || a.Stopped); taken != takes {
			t.Errorf("%s: taken: %v, %v", inside, taken, err)
		}
		m.Close()
	}
}
