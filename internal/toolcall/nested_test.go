package toolcall

import (
	"encoding/json"
	"strings"
	"testing"
)

// Law: what a tag holds is what the schema says, at any depth, and where that says
// nothing what it looks like.
func TestNestedValuesAreOfTheirSchemas(t *testing.T) {
	const tools = `[{"name":"f","parameters":{"type":"object","properties":{
		"codes":{"type":"array","items":{"type":"string"}},"counts":{"type":["array","null"],"items":{"type":"integer"}},
		"at":{"$ref":"#/$defs/at"},"map":{"type":"object","additionalProperties":{"type":"string"}},
		"shop":{"type":"object","properties":{"item":{"type":"string"}}},"any":{},"either":{"anyOf":[{"type":"string"},{"type":"number"}]}},
		"$defs":{"at":{"type":"object","properties":{"zip":{"type":"string"},"next":{"$ref":"#/$defs/at"}}}}}}]`
	d, err := Lookup("minimax-m3")
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"¶<codes>¶<item>007¶</item>¶<item>true¶</item>¶</codes>":                                  `{"codes": ["007", "true"]}`,
		"¶<counts>¶<item>7¶</item>¶</counts>":                                                     `{"counts": [7]}`,
		"¶<codes>¶</codes>¶<counts>¶</counts>¶<at>¶</at>¶<any>¶</any>":                            `{"codes": [], "counts": [], "at": {}, "any": ""}`,
		"¶<at>¶<zip>08001¶</zip>¶<next>¶<zip>1¶</zip>¶</next>¶</at>":                              `{"at": {"zip": "08001", "next": {"zip": "1"}}}`,
		"¶<map>¶<a>1¶</a>¶<b>2¶</b>¶</map>":                                                       `{"map": {"a": "1", "b": "2"}}`,
		"¶<shop>¶<item>1¶</item>¶</shop>":                                                         `{"shop": {"item": "1"}}`,
		"¶<any>¶<item>1¶</item>¶<item>a¶</item>¶</any>":                                           `{"any": [1, "a"]}`,
		"¶<codes>¶<code>7¶</code>¶</codes>":                                                       `{"codes": ["7"]}`,
		"¶<at>¶<zip>¶<next>¶<zip>2¶</next>¶</at>":                                                 `{"at": {"zip": "", "next": {"zip": "2"}}}`,
		"¶<any>¶<items>1¶</items>¶</any>":                                                         `{"any": {"items": 1}}`,
		"¶<either>7¶</either>¶<any> two words ¶</any>":                                            `{"either": 7, "any": " two words "}`,
		"¶<codes>¶<item> a\n¶</item>¶</codes>":                                                    `{"codes": [" a\n"]}`,
		"¶<other>¶<item>¶<item>1¶</item>¶</item>¶<item>¶<k>null¶</k>¶</item>¶</other>":            `{"other": [[1], {"k": null}]}`,
		"¶<codes>[\"a\", \"b\"]¶</codes>":                                                         `{"codes": ["a", "b"]}`,
		"¶<at>\n ¶<zip>1¶</zip>\n¶</at>\n":                                                        `{"at": {"zip": "1"}}`,
		"¶<codes>¶<item>a ]<]minimax b¶</item>¶<item>c" + "]<]minimax[>[" + " d¶</item>¶</codes>": `{"codes": ["a ]<]minimax b", "c]<]minimax[>[ d"]}`,
	} {
		text := strings.ReplaceAll("¶<tool_call>\n¶<invoke name=\"f\">"+in+"¶</invoke>\n¶</tool_call>", "¶", "]<]minimax[>[")
		_, calls := Parse(d, ReadTools(json.RawMessage(tools)), text)
		if len(calls) != 1 || !sameJSON(calls[0].Arguments, want) {
			t.Errorf("%s: %q, must be %s", in, calls, want)
		}
	}
}

// Tags nest only so deep: the call ends where they go deeper.
func TestNestedTagsHaveADepth(t *testing.T) {
	d, err := Lookup("minimax-m3")
	if err != nil {
		t.Fatal(err)
	}
	deep := strings.Repeat("]<]minimax[>[<a>", 100_000)
	content, calls := Parse(d, nil, `]<]minimax[>[<tool_call>]<]minimax[>[<invoke name="f">`+deep)
	if len(calls) != 1 || strings.Count(calls[0].Arguments, "{") != maxNested || len(content) < 1_000_000 {
		t.Errorf("%d calls, %d deep, content of %d bytes", len(calls), strings.Count(calls[0].Arguments, "{"), len(content))
	}
}
