package native

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// bytesTrie is a vocabulary of all bytes and an end token.
func grammarTrie(t *testing.T) (*Trie, *Tokenizer, func(string) []int32) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/tiny-reasoner/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := NewTokenizer(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tok.Close() })
	var eos int32 = -1
	control := map[int32]bool{}
	for _, a := range tok.AddedTokens() {
		if a.Special {
			control[a.ID] = true
		}
		if a.Content == "<|im_end|>" {
			eos = a.ID
		}
	}
	trie, err := NewTrie(TrieConfig{
		Count:     tok.VocabSize(),
		Bytes:     func(id int32) []byte { text, _ := tok.Decode([]int32{id}, false); return []byte(text) },
		IsControl: func(id int32) bool { return control[id] }, EOS: []int32{eos}, Tokenizer: tok,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trie.Close)
	encode := func(text string) []int32 {
		ids, err := tok.Encode(text, false, true)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	return trie, tok, encode
}

func TestAMatcherTakesWhatTheGrammarAllows(t *testing.T) {
	trie, tok, encode := grammarTrie(t)
	for _, c := range []struct {
		kind      GrammarKind
		source    string
		good, bad string
	}{
		{JSONSchema, `{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}`, `{"a": 12}`, `{"b": 1}`},
		{Regex, `[0-9]{3}-[a-z]+`, `123-abc`, `12-abc`},
		{Lark, `start: "yes" | "no"`, `yes`, `maybe`},
	} {
		g, err := trie.Compile(c.kind, c.source)
		if err != nil {
			t.Fatalf("%s: %v", c.source, err)
		}
		m, err := g.Matcher()
		if err != nil {
			t.Fatal(err)
		}
		g.Close() // matchers live on
		mask := make([]uint32, (tok.VocabSize()+31)/32)
		ids := encode(c.good)
		for i, id := range ids {
			if err := m.Mask(mask); err != nil {
				t.Fatal(err)
			}
			if mask[id/32]>>(id%32)&1 == 0 {
				t.Fatalf("%s: token %d of %q is masked", c.source, i, c.good)
			}
			if a, err := m.Accept([]int32{id}); err != nil || a.Taken != 1 {
				t.Fatalf("%s: token %d of %q: %+v, %v", c.source, i, c.good, a, err)
			}
		}
		if a, err := m.Accept(nil); err != nil || !a.Accepting {
			t.Errorf("%s: behind %q: %+v, %v", c.source, c.good, a, err)
		}
		m.Close()
		g, err = trie.Compile(c.kind, c.source)
		if err != nil {
			t.Fatal(err)
		}
		m, err = g.Matcher()
		if err != nil {
			t.Fatal(err)
		}
		if a, err := m.Accept(encode(c.bad)); err != nil || a.Taken == len(encode(c.bad)) {
			t.Errorf("%s takes %q: %+v, %v", c.source, c.bad, a, err)
		}
		m.Close()
		g.Close()
	}
}

func TestForcedTokensAreTheTextsOwn(t *testing.T) {
	trie, tok, _ := grammarTrie(t)
	g, err := trie.Compile(Lark, `start: "The answer is: " ("yes" | "no")`)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	m, err := g.Matcher()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ids, err := m.Forced()
	if err != nil {
		t.Fatal(err)
	}
	text, err := tok.Decode(ids, false)
	if err != nil || !strings.HasPrefix("The answer is: ", text) || len(text) < 8 {
		t.Errorf("forced %q, %v", text, err)
	}
}

func TestBadGrammarsAreRefusedSoon(t *testing.T) {
	trie, _, _ := grammarTrie(t)
	for name, c := range map[string]struct {
		kind   GrammarKind
		source string
	}{
		"no JSON":        {JSONSchema, `{`},
		"unknown type":   {JSONSchema, `{"type":"nothing"}`},
		"impossible":     {JSONSchema, `{"type":"integer","minimum":3,"maximum":2}`},
		"regex":          {Regex, `[a`},
		"lark":           {Lark, `start: "a" nothing`},
		"large counts":   {Regex, `((a{1000}){1000}){1000}`},
		"deep":           {JSONSchema, strings.Repeat(`{"type":"array","items":`, 50000) + "{}" + strings.Repeat("}", 50000)},
		"itself":         {Lark, `start: start start`},
		"long":           {JSONSchema, strings.Repeat(" ", mostGrammar) + `{}`},
		"intersections":  {Lark, "start: A\nA: /(a|b)*a(a|b){25}/ & /(a|b)*b(a|b){25}/"},
		"deep brackets":  {Regex, strings.Repeat("(", 100000) + strings.Repeat(")", 100000)},
		"a self ref":     {JSONSchema, `{"$ref":"#"}`},
		"a far away ref": {JSONSchema, `{"$ref":"http://example.com/schema"}`},
	} {
		began := time.Now()
		g, err := trie.Compile(c.kind, c.source)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		if err == nil {
			t.Errorf("%s: compiles", name)
			g.Close()
			continue
		}
		var panicked *PanicError
		if errors.As(err, &panicked) || strings.Contains(err.Error(), "<") && name != "lark" {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %.200s", name, err)
	}
}
