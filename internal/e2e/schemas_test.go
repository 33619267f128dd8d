package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/reasond/reasond/internal/grammar"
	"github.com/reasond/reasond/internal/tokenizer"
	"github.com/reasond/reasond/testdata/bytemodel"
)

// schemaCase is a schema of the JSON Schema Test Suite.
type schemaCase struct {
	Draft  string          `json:"draft"`
	Schema json.RawMessage `json:"schema"`
	Text   string          `json:"text"`
	name   string
}

// schemaSuite is every schema of the suite's last drafts, and every schema within
// one, once. Those that need other documents are left out: no server has them.
func schemaSuite(t *testing.T) (all []schemaCase) {
	t.Helper()
	const suite = "../../.e2e/json-schema-suite"
	if _, err := os.Stat(suite); err != nil {
		t.Skip("the JSON Schema Test Suite is not there: run `make test-tools` first")
	}
	known := map[string]bool{}
	for _, draft := range []string{"draft2020-12", "draft2019-09", "draft7", "draft6"} {
		files, err := filepath.Glob(filepath.Join(suite, draft, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		optional, err := filepath.Glob(filepath.Join(suite, draft, "optional", "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range append(files, optional...) {
			if filepath.Base(file) == "ecmascript-regex.json" {
				continue // Python, which judges, reads \W and its like in another way
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var groups []struct {
				Description string
				Schema      any
			}
			if err := json.Unmarshal(data, &groups); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			for _, g := range groups {
				for i, one := range schemasIn(g.Schema) {
					s := withoutDraft(t, one)
					if outside := strings.Contains(s, "http://localhost") || i > 0 && strings.Contains(s, "$ref"); !known[s] && !outside {
						known[s] = true
						all = append(all, schemaCase{Draft: draft, Schema: json.RawMessage(s), name: fmt.Sprintf("%s/%s: %s, %d", draft, filepath.Base(file), g.Description, i)})
					}
				}
			}
		}
	}
	return all
}

// schemasIn is a schema and all that it is made of.
func schemasIn(schema any) []any {
	all := []any{schema}
	members, _ := schema.(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(members)) {
		v := members[key]
		switch key {
		case "items", "additionalProperties", "additionalItems", "unevaluatedProperties", "unevaluatedItems", "contains", "not", "if", "then", "else", "propertyNames":
			if _, ok := v.(map[string]any); ok {
				all = append(all, schemasIn(v)...)
			}
		case "properties", "patternProperties", "$defs", "definitions", "dependentSchemas":
			named, _ := v.(map[string]any)
			for _, name := range slices.Sorted(maps.Keys(named)) {
				all = append(all, schemasIn(named[name])...)
			}
		case "allOf", "anyOf", "oneOf", "prefixItems":
			list, _ := v.([]any)
			for _, one := range list {
				all = append(all, schemasIn(one)...)
			}
		}
	}
	return all
}

// withoutDraft is a schema but for the member that names its draft.
func withoutDraft(t *testing.T, schema any) string {
	t.Helper()
	if members, ok := schema.(map[string]any); ok {
		schema = maps.Clone(members)
		delete(schema.(map[string]any), "$schema")
	}
	s, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	return string(s)
}

// byteServer serves a model that knows nothing. Its output layer leans towards
// what ends a thought, a string, a list and a text, or noise would fill every
// answer to its last token.
func byteServer(t *testing.T, args ...string) *process {
	t.Helper()
	dir := t.TempDir()
	if err := bytemodel.Write(dir, 1, map[string]float64{`"`: 2.5, "]": 3, "}": 3, bytemodel.EOS: 3, "</think>": 3}); err != nil {
		t.Fatal(err)
	}
	return start(t, append([]string{dir, "--reasoning-parser", "deepseek-r1"}, args...)...)
}

// byteEOS is the id of the token that ends the byte model's texts.
const byteEOS = "257"

// noiseSeeds are as many thoughts as there are.
const noiseSeeds = 32

// Law: whatever the schema, a text that ends is an instance of it, as another
// validator says; one that is cut off may become one. The thought before it is
// what it would be without a schema.
func TestAnswersAreInstancesOfTheirSchemas(t *testing.T) {
	suite := schemaSuite(t)
	p := byteServer(t)
	free := make([]chatAnswer, noiseSeeds)
	each(noiseSeeds, func(i int) {
		body := noise(i, nil, 256)
		body["logit_bias"] = map[string]any{byteEOS: -100} // it may not end a thought here either
		free[i] = p.answer(t, body)
	})
	answers, short := make([]chatAnswer, len(suite)), make([]chatAnswer, len(suite))
	each(len(suite), func(i int) { answers[i] = p.answer(t, noise(i%noiseSeeds, suite[i].Schema, 256)) })
	each(len(suite), func(i int) { short[i] = p.answer(t, noise(i%noiseSeeds, suite[i].Schema, 20)) })

	compiler := byteGrammars(t)
	var refused, stopped []int
	cut, cutShort, thoughts := 0, 0, 0
	for i, a := range answers {
		switch {
		case a.status == 400:
			refused = append(refused, i)
			if a.err.Param != "response_format.json_schema.schema" || len(a.err.Message) < len(a.err.Param)+10 {
				t.Errorf("%s: refused without saying where and why: %+v", suite[i].name, a.err)
			}
			continue
		case a.status != 200 || len(a.choices) != 1:
			t.Errorf("%s: status %d: %s", suite[i].name, a.status, a.body)
			continue
		}
		c := a.choices[0]
		if thought := free[i%noiseSeeds].choices[0].reasoning; c.reasoning != thought {
			t.Errorf("%s: the thought is %q, and %q without a schema", suite[i].name, c.reasoning, thought)
		} else if thought != "" {
			thoughts++
		}
		switch c.finish {
		case "stop":
			stopped = append(stopped, i)
			suite[i].Text = c.content
		case "length":
			cut++
			if !compiler.begins(t, suite[i].Schema, c.content) {
				t.Errorf("%s: cut off, and no beginning of an instance: %q", suite[i].name, c.content)
			}
		default:
			t.Errorf("%s: ends with %q", suite[i].name, c.finish)
		}
	}
	var ended []schemaCase
	for _, i := range stopped {
		ended = append(ended, suite[i])
		switch c := short[i].choices[0]; {
		case c.finish == "stop":
			suite[i].Text = c.content
			ended = append(ended, suite[i])
		case c.content != "":
			cutShort++
			if !compiler.begins(t, suite[i].Schema, c.content) {
				t.Errorf("%s: cut off soon, and no beginning of an instance: %q", suite[i].name, c.content)
			}
		}
	}
	if cutShort < 30 {
		t.Errorf("only %d answers were cut off for the test of their beginnings", cutShort)
	}
	valid(t, ended)
	t.Logf("%d schemas: %d answers end, %d are cut off, %d schemas are refused", len(suite), len(stopped), cut, len(refused))
	for _, i := range refused {
		t.Logf("refused: %s: %s", suite[i].name, answers[i].err.Message)
	}
	if thoughts < 200 {
		t.Errorf("only %d answers had a thought", thoughts)
	}
	if n := len(stopped) + cut; n < 300 || len(stopped)*100 < 80*n {
		t.Errorf("%d of %d answers end; must be 80%% of at least 300", len(stopped), n)
	}
}

// noise asks the byte model, with the schema if there is one.
func noise(seed int, schema json.RawMessage, most int) map[string]any {
	body := map[string]any{"messages": []any{map[string]any{"role": "user", "content": "x"}}, "max_tokens": most, "temperature": 1, "seed": seed}
	if schema != nil {
		body["response_format"] = map[string]any{"type": "json_schema", "json_schema": map[string]any{"name": "s", "schema": schema}}
	}
	return body
}

// valid has another implementation judge what ended.
func valid(t *testing.T, ended []schemaCase) {
	t.Helper()
	in, err := json.Marshal(ended)
	if err != nil {
		t.Fatal(err)
	}
	var verdicts []*string
	if err := json.Unmarshal(python(t, in, "schemas.py"), &verdicts); err != nil || len(verdicts) != len(ended) {
		t.Fatalf("%d verdicts: %v", len(verdicts), err)
	}
	unknown := 0
	for i, v := range verdicts {
		switch {
		case v == nil:
		case *v == "":
			unknown++
		default:
			t.Errorf("%s: %.200s is no instance of %.300s: %s", ended[i].name, ended[i].Text, ended[i].Schema, *v)
		}
	}
	if unknown > 10 {
		t.Errorf("%d answers could not be judged", unknown)
	}
}

// each calls f for all of n, a few at a time.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range 16 {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// byteMatcher follows texts through grammars over the byte model's vocabulary.
type byteMatcher struct {
	*grammar.Compiler
	tok *tokenizer.Tokenizer
}

func byteGrammars(t *testing.T) byteMatcher {
	t.Helper()
	tok, err := tokenizer.New(bytemodel.Tokenizer(nil, bytemodel.Control), tokenizer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	eos := slices.Index(bytemodel.Control, bytemodel.EOS)
	trie, err := tok.Trie([]int32{int32(256 + eos)})
	if err != nil {
		t.Fatal(err)
	}
	c := grammar.NewCompiler(trie)
	t.Cleanup(func() { c.Close(); tok.Close() })
	return byteMatcher{c, tok}
}

// begins reports whether a text is the beginning of an instance. What was cut
// off within a character ends in U+FFFD.
func (m byteMatcher) begins(t *testing.T, schema json.RawMessage, text string) bool {
	t.Helper()
	g, err := m.Compile(t.Context(), grammar.Spec{Kind: grammar.Schema, Source: string(schema)})
	if err != nil {
		t.Fatal(err)
	}
	matcher, err := g.Matcher()
	if err != nil {
		t.Fatal(err)
	}
	defer matcher.Close()
	var ids []int32
	for _, b := range []byte(strings.TrimSuffix(text, "\uFFFD")) {
		ids = append(ids, int32(b))
	}
	a, err := matcher.Accept(ids)
	return err == nil && a.Taken == len(ids)
}
