package toolcall_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/native"
	"github.com/reasond/reasond/internal/tokenizer"
	"github.com/reasond/reasond/internal/toolcall"
)

// Law: with strict functions text is free and a call is theirs. What a grammar of
// calls writes may stand in text; the same with another function's name, or with
// arguments of another type, may not.
func TestTextIsFreeAndStrictCallsAreNot(t *testing.T) {
	lib, vocab, trie, eos := tinyVocabulary(t)
	functions := toolcall.Functions(json.RawMessage(grammarTools))
	writing := toolcall.Writing{Marker: func(s string) (int32, bool) { id, ok := vocab.ID(s); return id, ok && vocab.IsControl(id) }}
	rng, free := rand.New(rand.NewPCG(5, 6)), []string{}
	for _, name := range toolcall.Names() {
		d, err := toolcall.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		freely := writing
		freely.Free = true
		source, err := d.Grammar(functions, freely)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		free = append(free, name)
		g, err := trie.Compile(native.Lark, source)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, source)
		}
		takes := func(text string) bool {
			t.Helper()
			ids, err := lib.Encode(text, false, true)
			if err != nil {
				t.Fatal(err)
			}
			m, err := g.Matcher()
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			a, err := m.Accept(ids)
			return err == nil && a.Taken == len(ids) && (a.Accepting || a.Stopped)
		}
		if !takes("") || !takes("\n\nNo call, {\"name\": \"go\"} < and all.") {
			t.Errorf("%s: text is not free", name)
		}
		calls := strictCalls(t, d, functions, writing, trie, vocab, eos, rng)
		for _, call := range calls {
			// Calls without a marker are an answer's beginning and its end.
			_, behind := toolcall.Parse(d, toolcall.ReadTools(json.RawMessage(grammarTools)), "Let me see.\n"+call)
			bare := len(behind) == 0
			if !takes(call) || !bare && (!takes("Let me see.\n"+call) || !takes(call+"\nDone.")) {
				t.Errorf("%s: a call of the functions is refused: %q", name, call)
			}
			other := strings.Replace(strings.Replace(call, "set", "get", 1), "now", "new", 1)
			wrong := strings.NewReplacer("true", "\"t\"", "false", "\"f\"", "True", "\"t\"", "False", "\"f\"").Replace(call)
			if takes(other) || !bare && takes("Let me see.\n"+other) || wrong != call && takes(wrong) {
				t.Errorf("%s: a call that is nobody's is let through: %q, %q", name, other, wrong)
			}
		}
		g.Close()
	}
	if !slices.Equal(free, toolcall.Names()) {
		t.Errorf("strict functions are held to in %q alone", free)
	}
}

// strictCalls are texts of the grammar of calls.
func strictCalls(t *testing.T, d *toolcall.Descriptor, functions []toolcall.Function, w toolcall.Writing, trie *native.Trie, vocab *tokenizer.Vocab, eos int32, rng *rand.Rand) []string {
	t.Helper()
	source, err := d.Grammar(functions, w)
	if err != nil {
		t.Fatal(err)
	}
	g, err := trie.Compile(native.Lark, source)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	var calls []string
	for range 12 {
		if text, whole := walk(t, g, vocab, eos, rng); whole {
			calls = append(calls, text)
		}
	}
	return calls
}
