package openai

import (
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// accepted and refused differ from encoding/json only where the package
// comment says so.
var accepted = []string{
	`{}`, `[]`, ` { } `, "\t[\n1 ,\r2 ]", `""`, `0`, `-0`, `1.5e-7`, `1E+400`, `true`, `false`, `null`,
	`{"a":{"a":[{"a":1},{"a":2}]},"b":{"a":1}}`, `"\u00e9\ud83d\ude00\n\/"`, `"é😀"`, `{"":1,"a\"b":"c\\"}`, `[[[]],{"x":[]}]`,
	`{"a,b":"c]d}","e":"\\"}`,
}

var refused = []string{
	``, ` `, `{`, `}`, `[`, `]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `[1,]`, `[1 2]`, `{1:2}`, `{a:1}`, `'a'`, `"a`, `"\x"`, `"\u12"`, `"\u12g4"`,
	"\"a\nb\"", "\"\x00\"", `01`, `1.`, `.5`, `+1`, `1e`, `--1`, `0x10`, `NaN`, `Infinity`, `tru`, `nul`, `nulll`, `{} {}`, `{}x`, "\ufeff{}", `// c
{}`, `{/**/}`,
	`{"a":1,"a":1}`, `{"a":1,"b":2,"\u0061":3}`, `{"x":[{"y":1,"y":2}]}`, // a member twice
	"\"\xff\"", "{\"\xc3\x28\":1}", "\"\xed\xa0\x80\"", // not UTF-8
	`"\ud800"`, `"\udc00"`, `"\ud800x"`, `"\ud800\ud800"`, `"\ud83d\u0041"`, `{"\udfff":1}`, // half a pair
}

func TestParseAcceptsOnlyStrictJSON(t *testing.T) {
	for _, text := range accepted {
		if _, err := parse([]byte(text)); err != nil {
			t.Errorf("parse(%q): %v", text, err)
		}
	}
	for _, text := range refused {
		_, err := parse([]byte(text))
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeInvalidJSON {
			t.Errorf("parse(%q) = %v, want invalid_json", text, err)
		}
	}
}

func TestDuplicatesAreFoundInLargeObjects(t *testing.T) {
	var members []string
	for i := range 3 * manyKeys {
		members = append(members, strconv.Quote("k"+strconv.Itoa(i))+":{}")
	}
	distinct := "{" + strings.Join(members, ",") + "}"
	if _, err := parse([]byte(distinct)); err != nil {
		t.Fatal(err)
	}
	for i := range members {
		again := "{" + strings.Join(append(members[:len(members):len(members)], members[i]), ",") + "}"
		if _, err := parse([]byte(again)); err == nil {
			t.Fatalf("member %d was accepted twice", i)
		}
	}
}

func TestDepthIsBounded(t *testing.T) {
	nest := func(n int) []byte { return []byte(strings.Repeat(`[{"a":`, n/2) + "1" + strings.Repeat(`}]`, n/2)) }
	if _, err := parse(nest(MaxDepth)); err != nil {
		t.Errorf("depth %d: %v", MaxDepth, err)
	}
	if _, err := parse(nest(MaxDepth + 2)); err == nil {
		t.Errorf("depth %d was accepted", MaxDepth+2)
	}
	start := time.Now()
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		if _, err := parse([]byte(strings.Repeat("[", n))); err == nil {
			t.Errorf("depth %d was accepted", n)
		}
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("deep nesting took %v", took)
	}
}

// tree takes a value apart by the accessors that decoding uses.
func tree(v value) any {
	switch v.kind() {
	case "object":
		m := map[string]any{}
		_ = v.members(func(name string, v value) error { m[name] = tree(v); return nil })
		return m
	case "array":
		list := []any{}
		_ = v.items(func(_ int, v value) error { list = append(list, tree(v)); return nil })
		return list
	case "string":
		return v.text()
	case "number":
		return json.Number(v)
	case "boolean":
		return v[0] == 't'
	}
	return nil
}

func checkTree(t *testing.T, data []byte) {
	v, err := parse(data)
	if err != nil {
		return
	}
	if !json.Valid(data) {
		t.Fatalf("%q was accepted and is not JSON", data)
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	var want any
	if err := d.Decode(&want); err != nil {
		t.Fatal(err)
	}
	if got := tree(v); !reflect.DeepEqual(got, want) {
		t.Fatalf("%q reads as %v, want %v", data, got, want)
	}
}

func TestAccessorsReadWhatEncodingJSONReads(t *testing.T) {
	for _, text := range accepted {
		checkTree(t, []byte(text))
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range append(accepted, refused...) {
		f.Add([]byte(text))
	}
	f.Fuzz(checkTree)
}

func FuzzDecodeChat(f *testing.F) {
	for _, c := range requests {
		f.Add([]byte(c.body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		req, err := DecodeChat(body)
		var e *Error
		switch {
		case err != nil && !errors.As(err, &e):
			t.Fatalf("an error that is no *Error: %v", err)
		case err != nil && (e.Code == "" || len(e.Message) > 512):
			t.Fatalf("error without a code or of %d bytes", len(e.Message))
		case err == nil:
			checkNormalForm(t, req)
		}
	})
}

func checkNormalForm(t *testing.T, req *ChatRequest) {
	var messages []struct {
		Role    *string
		Content json.RawMessage
	}
	if err := json.Unmarshal(req.Messages, &messages); err != nil || len(messages) == 0 {
		t.Fatalf("messages in normal form: %v: %s", err, req.Messages)
	}
	for _, m := range messages {
		if m.Role == nil || *m.Role != "assistant" && len(m.Content) == 0 {
			t.Fatalf("a message without role or content: %s", req.Messages)
		}
	}
	if req.N < 1 || req.N > MaxChoices {
		t.Fatalf("n is %d", req.N)
	}
}
