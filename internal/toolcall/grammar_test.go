package toolcall_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/native"
	"github.com/reasond/reasond/internal/tokenizer"
	"github.com/reasond/reasond/internal/toolcall"
)

const grammarTools = `[
	{"type":"function","function":{"name":"set","parameters":{"type":"object","properties":{
		"level":{"type":"integer","minimum":0,"maximum":99},"on":{"type":"boolean"},"mode":{"enum":["a","b"]}},
		"required":["level","on"],"additionalProperties":false}}},
	{"type":"function","function":{"name":"now"}}]`

// tinyVocabulary is that of the built-in model, for grammars.
func tinyVocabulary(t *testing.T) (*native.Tokenizer, *tokenizer.Vocab, *native.Trie, int32) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/tiny-reasoner/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	lib, err := native.NewTokenizer(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lib.Close() })
	vocab, err := tokenizer.NewVocab(data)
	if err != nil {
		t.Fatal(err)
	}
	eos, _ := vocab.ID("<|im_end|>")
	trie, err := native.NewTrie(native.TrieConfig{Count: vocab.Size(), Bytes: vocab.Bytes, IsControl: vocab.IsControl, EOS: []int32{eos}, Tokenizer: lib})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trie.Close() })
	return lib, vocab, trie, eos
}

// What a grammar of calls lets through is read back as calls of these functions
// with arguments of their schemas, and nothing else.
func TestGrammarsOfCallsAreReadBack(t *testing.T) {
	_, vocab, trie, eos := tinyVocabulary(t)
	rng := rand.New(rand.NewPCG(3, 4))
	with := 0
	for _, name := range toolcall.Names() {
		d, err := toolcall.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		with++
		for _, one := range []bool{false, true} {
			source, err := d.Grammar(toolcall.Functions(json.RawMessage(grammarTools)), toolcall.Writing{
				Marker: func(s string) (int32, bool) { id, ok := vocab.ID(s); return id, ok && vocab.IsControl(id) }, One: one,
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			g, err := trie.Compile(native.Lark, source)
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, source)
			}
			ended := 0
			for range 10 {
				text, whole := walk(t, g, vocab, eos, rng)
				content, calls := toolcall.Parse(d, toolcall.ReadTools(json.RawMessage(grammarTools)), text)
				if !whole {
					continue
				}
				ended++
				if strings.TrimSpace(content) != "" || len(calls) == 0 || one && len(calls) != 1 {
					t.Errorf("%s: %q: content %q, calls %q", name, text, content, calls)
				}
				for _, c := range calls {
					checkArguments(t, name, c)
				}
			}
			if ended < 3 {
				t.Errorf("%s: only %d of 10 walks ended", name, ended)
			}
			g.Close()
		}
	}
	if with < 12 {
		t.Errorf("%d formats have a grammar", with)
	}
}

func checkArguments(t *testing.T, name string, c toolcall.Call) {
	t.Helper()
	var set struct {
		Level *int
		On    *bool
		Mode  *string
	}
	dec := json.NewDecoder(strings.NewReader(c.Arguments))
	dec.DisallowUnknownFields()
	var any map[string]any
	switch err := error(nil); c.Name {
	case "set":
		if err = dec.Decode(&set); err != nil || set.Level == nil || *set.Level < 0 || *set.Level > 99 || set.On == nil {
			t.Errorf("%s: set%s: %v", name, c.Arguments, err)
		}
	case "now":
		if dec.UseNumber(); dec.Decode(&any) != nil || any == nil {
			t.Errorf("%s: now%s: %v", name, c.Arguments, err)
		}
	default:
		t.Errorf("%s: a call of %q", name, c.Name)
	}
}

// walk writes a text of the grammar, token by token, drawn from what is allowed:
// the end where it may come, else a longest token now and then.
func walk(t *testing.T, g *native.Grammar, vocab *tokenizer.Vocab, eos int32, rng *rand.Rand) (string, bool) {
	t.Helper()
	m, err := g.Matcher()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	mask := make([]uint32, (vocab.Size()+31)/32)
	var text []byte
	for range 400 {
		if err := m.Mask(mask); err != nil {
			t.Fatal(err)
		}
		var allowed []int32
		for id := range int32(vocab.Size()) {
			if mask[id/32]>>(id%32)&1 != 0 {
				allowed = append(allowed, id)
			}
		}
		if len(allowed) == 0 {
			t.Fatalf("nothing may follow %q", text)
		}
		id := allowed[rng.IntN(len(allowed))]
		if mask[eos/32]>>(eos%32)&1 != 0 && rng.IntN(2) == 0 {
			id = eos
		}
		if id == eos {
			return string(text), true
		}
		if a, err := m.Accept([]int32{id}); err != nil || a.Taken != 1 {
			t.Fatalf("%q does not take %q: %+v, %v", text, vocab.Bytes(id), a, err)
		}
		text = append(text, vocab.Bytes(id)...)
	}
	return string(text), false
}
