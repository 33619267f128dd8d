package grammar

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/native"
	"github.com/reasond/reasond/internal/tokenizer"
)

// vocabulary is that of tiny-reasoner.
func vocabulary(t testing.TB) (*Compiler, func(string) []int32) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/tiny-reasoner/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := native.NewTokenizer(data)
	if err != nil {
		t.Fatal(err)
	}
	vocab, err := tokenizer.NewVocab(data)
	if err != nil {
		t.Fatal(err)
	}
	var eos []int32
	control := map[int32]bool{}
	for _, a := range tok.AddedTokens() {
		control[a.ID] = a.Special
		if a.Content == "<|im_end|>" {
			eos = append(eos, a.ID)
		}
	}
	trie, err := native.NewTrie(native.TrieConfig{
		Count:     tok.VocabSize(),
		Bytes:     vocab.Bytes,
		IsControl: func(id int32) bool { return control[id] }, EOS: eos, Tokenizer: tok,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := NewCompiler(trie)
	t.Cleanup(func() { c.Close(); tok.Close() })
	return c, func(text string) []int32 {
		ids, err := tok.Encode(text, false, false)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
}

// matches reports whether a text is one of the grammar's, whole.
func matches(t *testing.T, g *native.Grammar, ids []int32) bool {
	t.Helper()
	m, err := g.Matcher()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	a, err := m.Accept(ids)
	if err != nil {
		t.Fatal(err)
	}
	return a.Taken == len(ids) && a.Accepting
}

func TestGrammarsMatchWhatTheySay(t *testing.T) {
	c, encode := vocabulary(t)
	for _, test := range []struct {
		name      string
		spec      Spec
		good, bad []string
	}{
		{"any object", Spec{JSON, ""}, []string{`{}`, `{"a": [1, {"b": null}]}`}, []string{`[]`, `1`, `{"a"}`}},
		{"schema", Spec{Schema, `{"type":"object","properties":{"n":{"type":"integer"},"s":{"enum":["x","y"]}},"required":["n","s"],"additionalProperties":false}`},
			[]string{`{"n": 12, "s": "x"}`}, []string{`{"n": "12", "s": "x"}`, `{"s": "x"}`, `{"n": 1, "s": "z"}`}},
		{"schema true", Spec{Schema, `true`}, []string{`1`, `[true]`}, []string{`x`}},
		{"regex", Spec{Regex, `^\d{3}-[a-f]+$`}, []string{"123-abc"}, []string{"12-abc", "123-abcx"}},
		{"choice", Spec{Choice, `["yes", "no \"never\"\n"]`}, []string{"yes", "no \"never\"\n"}, []string{"maybe", "ye"}},
		{"GBNF", Spec{EBNF, "# arithmetic\nroot ::= expr \"=\" num\nexpr ::= term ([-+*/] term)*\nterm ::= num | \"(\" expr \")\"\nnum ::= [0-9]+\n"},
			[]string{"1+(2*3)=7", "12=3"}, []string{"1+=2", "1+2", "=1"}},
		{"GBNF: counts, escapes, names", Spec{EBNF, "root ::= my-rule{2,3} \"\\u00e9\\n\" [^\\x41-Z\"/\\]]? Other_1\nmy-rule ::= \"ab\" | \"\"\nOther_1 ::= (\".\" |\n \"!\")"},
			[]string{"abab\u00e9\nx.", "ababab\u00e9\n!"}, []string{"abab\u00e9\nB.", "ababé\n/!", "x"}},
		{"Lark", Spec{EBNF, "start: \"a\" B+\nB: /[0-9]/"}, []string{"a12"}, []string{"a", "b1"}},
		{"structural tag", Spec{StructuralTag, `{"structures":[{"begin":"<f=add>","schema":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false},"end":"</f>"}],"triggers":["<f="]}`},
			[]string{`text < more`, `say <f=add>{"a": 1}</f> and`, `<f=add>{"a": 1}</f><f=add>{"a": 2}</f>`}, []string{`<f=sub>`, `<f=add>{"b": 1}</f>`, `x <f=add>{"a": 1}`}},
		{"structural tag, required", Spec{StructuralTag, `{"type":"structural_tag","format":{"type":"triggered_tags","triggers":["<f="],"tags":[{"begin":"<f=add>","content":{"type":"json_schema","json_schema":{"type":"integer"}},"end":"</f>"}],"at_least_one":true,"stop_after_first":true}}`},
			[]string{`<f=add>1</f>`, `so <f=add>1</f>`}, []string{`so`, `<f=add>1</f> x`}},
	} {
		g, err := c.Compile(context.Background(), test.spec)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		for _, text := range test.good {
			if !matches(t, g, encode(text)) {
				t.Errorf("%s refuses %q", test.name, text)
			}
		}
		for _, text := range test.bad {
			if matches(t, g, encode(text)) {
				t.Errorf("%s takes %q", test.name, text)
			}
		}
	}
}

func TestBadGrammarsSayWhatIsWrong(t *testing.T) {
	c, _ := vocabulary(t)
	for _, test := range []struct {
		spec Spec
		want string
	}{
		{Spec{Schema, `[]`}, "not a JSON object"},
		{Spec{Schema, `null`}, "null"},
		{Spec{Schema, `false`}, "no instances"},
		{Spec{Schema, `{"type":"nothing"}`}, "nothing"},
		{Spec{Regex, ``}, "empty"},
		{Spec{Regex, `(a`}, "unclosed"},
		{Spec{Choice, `[]`}, "1 to"},
		{Spec{Choice, `["a", ""]`}, "choice 1 is empty"},
		{Spec{Choice, `{}`}, "array of strings"},
		{Spec{EBNF, ``}, "empty"},
		{Spec{EBNF, "root ::= a\n"}, "line 1: there is no rule a"},
		{Spec{EBNF, "start ::= \"a\"\n"}, "no rule root"},
		{Spec{EBNF, "root ::= \"a\"\nroot ::= \"b\""}, "line 2: rule root is there twice"},
		{Spec{EBNF, "root ::= (\"a\""}, `")" is missing`},
		{Spec{EBNF, "root ::= \"a"}, "no end"},
		{Spec{EBNF, "root ::= [a"}, "no end"},
		{Spec{EBNF, "root ::= \"a\"{x}"}, "no count"},
		{Spec{EBNF, "root ::= \"\\ud800\""}, "no code point"},
		{Spec{EBNF, "root ::= " + strings.Repeat("(", 300) + "\"a\"" + strings.Repeat(")", 300)}, "nests"},
		{Spec{StructuralTag, `{}`}, "needs structures"},
		{Spec{StructuralTag, `{"structures":[{"begin":"<g>","schema":{},"end":"</g>"}],"triggers":["<f="]}`}, "none of the triggers"},
		{Spec{StructuralTag, `{"format":{"type":"sequence"}}`}, "format.type"},
	} {
		_, err := c.Compile(context.Background(), test.spec)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %q: %v, must say %q", test.spec.Kind, test.spec.Source, err, test.want)
		}
	}
}

// Equal specs are compiled once, also at the same time; the oldest are forgotten.
func TestTheCompilerRemembers(t *testing.T) {
	c, _ := vocabulary(t)
	spec := Spec{Regex, "[a-z]+"}
	var all [8]*native.Grammar
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i], _ = c.Compile(context.Background(), spec) })
	}
	wg.Wait()
	for _, g := range all {
		if g == nil || g != all[0] {
			t.Fatal("compiled more than once")
		}
	}
	for i := range remembered {
		if _, err := c.Compile(context.Background(), Spec{Regex, "[a-z]{" + strings.Repeat("1", i%3+1) + "," + "999}" + strings.Repeat("x", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if c.order.Len() != remembered || len(c.known) != remembered {
		t.Errorf("%d and %d grammars are remembered, not %d", c.order.Len(), len(c.known), remembered)
	}
	if g, err := c.Compile(context.Background(), spec); err != nil || g == all[0] {
		t.Errorf("the oldest was not forgotten: %v", err)
	}
}

// Who waits for a grammar may go; who asks for another is not held up for long.
func TestCompilingCanBeLeft(t *testing.T) {
	c, _ := vocabulary(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Compile(ctx, Spec{Regex, "((a{999}){999}){9}"}); !errors.Is(err, context.Canceled) {
		t.Errorf("left: %v", err)
	}
	began := time.Now()
	if _, err := c.Compile(context.Background(), Spec{Regex, "b"}); err != nil || time.Since(began) > time.Second {
		t.Errorf("another took %v, %v", time.Since(began), err)
	}
}
