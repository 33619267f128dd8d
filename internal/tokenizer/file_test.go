package tokenizer

import (
	"encoding/json"
	"maps"
	"testing"
)

// The members of a vocabulary are what encoding/json makes of it, or it is
// refused by both.
func FuzzEachID(f *testing.F) {
	for _, raw := range []string{
		`{}`, ` { } `, `null`, `7`, `[]`, `{"a":1}`, "{ \"a\" :\t1 ,\r\n\"b\":2}", `{"a":1,"a":2}`, `{"\u0041\n\\":3,"é\"":-4}`,
		"{\"\xff\":1}", `{"\ud800":1}`, `{"a":1.5}`, `{"a":"1"}`, `{"a":{"b":1}}`, `{"a":3000000000}`, `{"}":0,",":1,":":2}`, `{"a":[1]}`, `{"a":true}`,
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			t.Skip("eachID reads valid JSON")
		}
		got := map[string]int32{}
		err := eachID(raw, func(token string, id int32) error { got[token] = id; return nil })
		var want map[string]int32
		wantErr := json.Unmarshal(raw, &want)
		switch {
		case wantErr != nil && err == nil:
			t.Errorf("%s: encoding/json says %v, eachID makes %v of it", raw, wantErr, got)
		case wantErr == nil && err != nil:
			for _, id := range want {
				if id == 0 {
					return // null is no id
				}
			}
			t.Errorf("%s: %v", raw, err)
		case wantErr == nil && !maps.Equal(got, want):
			t.Errorf("%s: got %v, want %v", raw, got, want)
		}
	})
}

// A document's own encoding is what encoding/json makes of it.
func TestDocumentsAreEncodedAsJSON(t *testing.T) {
	unk := "<unk>"
	for name, d := range map[string]document{
		"empty":  {Version: "1.0"},
		"tokens": {Version: "1.0", Added: []AddedToken{{ID: 3, Content: "<&>"}}, Decoder: part{"type": "ByteLevel"}, Model: bpe{Type: "BPE", Unk: &unk, Vocab: map[string]int{"a": 0, "\"\\": 1, "é\n": 2, "<&>": 3, "\u2028": 5}, Merges: [][2]string{{"a", "\""}, {"\x01", "é"}}}},
	} {
		got, err := d.encode()
		if err != nil {
			t.Fatal(err)
		}
		want, _ := json.Marshal(d)
		var a, b any
		if err := json.Unmarshal(got, &a); err != nil {
			t.Fatalf("%s: %v in %s", name, err, got)
		}
		if d.Model.Vocab == nil { // no vocabulary is an empty one
			d.Model.Vocab, d.Model.Merges = map[string]int{}, [][2]string{}
			want, _ = json.Marshal(d)
		}
		_ = json.Unmarshal(want, &b)
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if string(x) != string(y) {
			t.Errorf("%s: got %s, want %s", name, x, y)
		}
	}
}
