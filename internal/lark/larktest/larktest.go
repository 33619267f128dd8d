// Package larktest holds grammars of calls to their law in tests: whatever such a
// grammar allows is read back, by its format's own parser, as calls of the
// functions with arguments of their schemas. Random walks through the matcher
// find what a grammar allows. Tests alone import it.
package larktest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/grammar"
	"github.com/reasond/reasond/internal/tokenizer"
	"github.com/reasond/reasond/testdata/bytemodel"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Tools are what the walks call: all that the parameters of functions have.
const Tools = `[
	{"type":"function","function":{"name":"set","strict":true,"parameters":{"type":"object","properties":{
		"level":{"type":"integer","minimum":0,"maximum":99},"on":{"type":"boolean"},"mode":{"enum":["a","b c","3"]},"none":{"type":"null"}},
		"required":["level","on"],"additionalProperties":false}}},
	{"type":"function","function":{"name":"now"}},
	{"type":"function","function":{"name":"say","parameters":{"type":"object","properties":{
		"code":{"type":"string","pattern":"^[a-z]{2,4}-[0-9]$"},"short":{"type":"string","minLength":1,"maxLength":5},
		"pad":{"type":"string","pattern":"^( a|bb|\nc)$"},"line":{"type":"string","maxLength":12},"note":{"type":["string","null"],"maxLength":8}},"required":["code","short"]}}},
	{"type":"function","function":{"name":"put_all","parameters":{"type":"object","properties":{
		"tags":{"type":"array","items":{"type":"string","maxLength":4},"minItems":1,"maxItems":3},
		"at":{"$ref":"#/$defs/point"},"size":{"anyOf":[{"type":"number"},{"enum":["big","small",7]}]},
		"tree":{"type":"object","properties":{"leaf":{"type":"boolean"},"point":{"$ref":"#/$defs/point"}},"required":["leaf"],"additionalProperties":false}},
		"required":["tags","at"],"additionalProperties":false,
		"$defs":{"point":{"type":"object","properties":{"x":{"type":"integer","minimum":-9,"maximum":9},"y":{"type":"number","minimum":0,"maximum":1}},"required":["x"],"additionalProperties":false}}}}}]`

// Functions are those of Tools.
func Functions(t testing.TB) []reasoning.Function {
	t.Helper()
	var list []struct{ Function reasoning.Function }
	if err := json.Unmarshal([]byte(Tools), &list); err != nil {
		t.Fatal(err)
	}
	var all []reasoning.Function
	for _, one := range list {
		all = append(all, one.Function)
	}
	return all
}

// Rig is a vocabulary of bytes, some words and the markers given, which are
// control tokens.
type Rig struct {
	*tokenizer.Tokenizer
	grammars *grammar.Compiler
	EOS      int32
	Random   *rand.Rand
	schemas  map[string]*jsonschema.Schema
}

// words make texts that markers, JSON and Python are made of likely.
var words = []string{"true", "False", "12", "\": ", "\", \"", ", ", "</", "<|", "hello ", "\n\n", "_call", "parameter", "\"}", "é", "思"}

// NewRig makes a rig.
func NewRig(t testing.TB, markers ...string) *Rig {
	t.Helper()
	r := &Rig{Random: rand.New(rand.NewPCG(11, uint64(len(markers)))), schemas: map[string]*jsonschema.Schema{}}
	r.Tokenizer, r.grammars, r.EOS = Bytes(t, words, markers...)
	for _, f := range Functions(t) {
		r.schemas[f.Name] = schemaOf(t, f)
	}
	return r
}

// Bytes is a vocabulary of bytes, words and markers, which are control tokens, with a
// compiler over it, and the id that ends a text.
func Bytes(t testing.TB, words []string, markers ...string) (*tokenizer.Tokenizer, *grammar.Compiler, int32) {
	t.Helper()
	control := []string{bytemodel.EOS}
	for _, m := range markers {
		if m != "" && !slices.Contains(control, m) {
			control = append(control, m)
		}
	}
	tok, err := tokenizer.New(bytemodel.Tokenizer(words, control), tokenizer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	eos := int32(256 + len(words))
	trie, err := tok.Trie([]int32{eos})
	if err != nil {
		t.Fatal(err)
	}
	compiler := grammar.NewCompiler(trie)
	t.Cleanup(func() { compiler.Close(); tok.Close() })
	return tok, compiler, eos
}

func schemaOf(t testing.TB, f reasoning.Function) *jsonschema.Schema {
	t.Helper()
	schema := f.Parameters
	if schema == nil {
		schema = json.RawMessage(`{"type":"object"}`)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(f.Name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(f.Name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// markers are what looks like control tokens in a grammar.
var markers = regexp.MustCompile(`\]<\][a-z]+\[>\[|<[^<>\s=]*>|\[/?[A-Za-z_]+\]`)

// Markers are what a format's model has as control tokens: all that looks so in
// the grammars that write, for a vocabulary without any. What a format spells in
// text, such as tags within tags, is left out.
func Markers(t testing.TB, write func([]reasoning.Function, reasoning.Writing) (string, error), spelled ...string) (all []string) {
	t.Helper()
	for _, free := range []bool{false, true} {
		source, err := write(Functions(t), reasoning.Writing{Free: free})
		if err != nil && !free {
			t.Fatal(err)
		}
		source = strings.NewReplacer("\\u003c", "<", "\\u003e", ">", `\"`, `"`).Replace(source)
		for _, m := range markers.FindAllString(source, -1) {
			if !slices.ContainsFunc(spelled, func(s string) bool { return strings.Contains(m, s) }) {
				all = append(all, m)
			}
		}
	}
	return all
}

// Marker is reasoning.Writing's.
func (r *Rig) Marker(text string) (int32, bool) {
	id, ok := r.Vocab().ID(text)
	return id, ok && r.Vocab().IsControl(id)
}

// Compile compiles a grammar.
func (r *Rig) Compile(t testing.TB, source string) grammar.Compiled {
	t.Helper()
	return r.CompileSpec(t, grammar.Spec{Kind: grammar.Lark, Source: source})
}

// CompileSpec compiles a grammar of any kind.
func (r *Rig) CompileSpec(t testing.TB, spec grammar.Spec) grammar.Compiled {
	t.Helper()
	g, err := r.grammars.Compile(context.Background(), spec)
	if err != nil {
		t.Fatalf("%v\n%s", err, spec.Source)
	}
	return g
}

// Ids are the tokens of a text.
func (r *Rig) Ids(t testing.TB, text string) []int32 {
	t.Helper()
	ids, err := r.Encode(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// Takes reports whether a text is of a grammar, as a whole.
func (r *Rig) Takes(t testing.TB, g grammar.Compiled, text string) bool {
	t.Helper()
	ids := r.Ids(t, text)
	m, err := g.Matcher()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	taken, stopped, accepting, err := m.Take(ids)
	return err == nil && taken == len(ids) && (stopped || accepting)
}

// Walk writes a text of the grammar behind a text that is said already, token by
// token drawn from what is allowed: control tokens and the text's end now and
// then where they may come. whole: it came to an end within most tokens.
func (r *Rig) Walk(t testing.TB, g grammar.Compiled, said string, most int) (text string, whole bool) {
	t.Helper()
	m, err := g.Matcher()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, id := range r.Ids(t, said) {
		if taken, _, _, err := m.Take([]int32{id}); err != nil || taken == 0 {
			t.Fatalf("the grammar does not take %q: %v", said, err)
		}
	}
	mask := make([]uint32, (r.Vocab().Size()+31)/32)
	var out []byte
	for range most {
		if err := m.Mask(mask); err != nil {
			t.Fatal(err)
		}
		id, ok := r.Draw(mask)
		switch {
		case !ok:
			t.Fatalf("nothing may follow %q", out)
		case id == r.EOS:
			return string(out), true
		}
		taken, stopped, _, err := m.Take([]int32{id})
		if err != nil || taken != 1 {
			t.Fatalf("%q does not take %q: %v", out, r.Vocab().Bytes(id), err)
		}
		out = append(out, r.Vocab().Bytes(id)...)
		if stopped {
			return string(out), true
		}
	}
	return string(out), false
}

// Draw takes one of what a mask allows: printable text for the most part.
func (r *Rig) Draw(mask []uint32) (int32, bool) {
	var text, control []int32
	for id := range int32(r.Vocab().Size()) {
		switch {
		case mask[id/32]>>(id%32)&1 == 0:
		case r.Vocab().IsControl(id):
			control = append(control, id)
		default:
			text = append(text, id)
		}
	}
	if n := len(control); n > 0 && (len(text) == 0 || r.Random.IntN(3) == 0) {
		return control[r.Random.IntN(n)], true
	}
	if len(text) == 0 {
		return 0, false
	}
	id := text[r.Random.IntN(len(text))]
	for range 3 {
		if b := r.Vocab().Bytes(id); len(b) > 0 && b[0] >= ' ' && b[0] < 127 {
			break
		}
		id = text[r.Random.IntN(len(text))]
	}
	return id, true
}

// Check says what is wrong with a call.
func (r *Rig) Check(name, arguments string) error {
	s := r.schemas[name]
	if s == nil {
		return fmt.Errorf("no function is called %q", name)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(arguments))
	if err != nil {
		return fmt.Errorf("%s: arguments %q: %w", name, arguments, err)
	}
	if err := s.Validate(v); err != nil {
		return fmt.Errorf("%s: arguments %s: %w", name, arguments, err)
	}
	return nil
}
