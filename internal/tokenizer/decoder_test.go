package tokenizer

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// A byteVocab has the byte b as id b; behind those come pieces of characters,
// words, and two added tokens of which the second is a control token.
const (
	tagID     = 256 + 6
	controlID = 256 + 7
)

func byteVocab(tb testing.TB) *Vocab {
	tb.Helper()
	ids := map[string]int{}
	for b := range 256 {
		ids[byteLevel([]byte{byte(b)})] = b
	}
	for i, piece := range []string{"\xF0\x9F", "\x98\x80", "\xE2\x80\x8D", "\xE4\xBD", "hello", " wörld"} {
		ids[byteLevel([]byte(piece))] = 256 + i
	}
	data, err := json.Marshal(document{
		Added:   []AddedToken{{ID: tagID, Content: "<think>"}, {ID: controlID, Content: "<｜end of turn｜>", Special: true}},
		Decoder: part{"type": "ByteLevel"},
		Model:   bpe{Type: "BPE", Vocab: ids},
	})
	if err != nil {
		tb.Fatal(err)
	}
	v, err := NewVocab(data)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// byteLevel writes bytes in GPT-2's alphabet.
func byteLevel(b []byte) string {
	var letters [256]rune
	for r, b := range alphabet {
		letters[b] = r
	}
	var out strings.Builder
	for _, c := range b {
		out.WriteRune(letters[c])
	}
	return out.String()
}

func byteIDs(text string) []int32 {
	ids := make([]int32, len(text))
	for i := range len(text) {
		ids[i] = int32(text[i])
	}
	return ids
}

func TestInvalidBytesAreReplacedAsPythonDoes(t *testing.T) {
	var rows [][2]string
	readJSON(t, "../../testdata/tokenizers/replace.json", &rows)
	if len(rows) < 500 {
		t.Fatalf("only %d goldens", len(rows))
	}
	v := byteVocab(t)
	for _, row := range rows {
		raw, err := hex.DecodeString(row[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Decode(byteIDs(string(raw)), false); got != row[1] {
			t.Errorf("% x is %q; want %q", raw, got, row[1])
		}
		d := v.NewDecoder(false)
		if got := string(d.Close(d.bytes(nil, raw))); got != row[1] {
			t.Errorf("% x as one token is %q; want %q", raw, got, row[1])
		}
	}
}

// decoderLaws decodes ids in the cuts given and checks every law on the way.
func decoderLaws(t interface {
	Helper()
	Fatalf(string, ...any)
}, v *Vocab, ids []int32, drop bool, cut func(left int) int,
) {
	t.Helper()
	d := v.NewDecoder(drop)
	want, wantEnds := d.Append(nil, nil, ids...)
	want = d.Close(want)

	d.Reset()
	var single []byte
	for i, id := range ids {
		text, end := d.Next(id)
		if single = append(single, text...); end != wantEnds[i] {
			t.Fatalf("%v: token %d ends at %d alone, at %d with others", ids, i, end, wantEnds[i])
		}
	}
	if single = d.Close(single); string(single) != string(want) {
		t.Fatalf("%v: one by one %q, at once %q", ids, single, want)
	}

	d.Reset()
	var got []byte
	var ends []int
	for left := ids; len(left) > 0; {
		n := cut(len(left))
		before := len(got)
		got, ends = d.Append(got, ends, left[:n]...)
		left = left[n:]
		if d.Held() > 3 {
			t.Fatalf("%v: %d bytes held back", ids, d.Held())
		}
		if !utf8.Valid(got[before:]) {
			t.Fatalf("%v: an Append gave %q, which is not text", ids, got[before:])
		}
		if end := ends[len(ends)-1]; end != len(got)+d.Held() {
			t.Fatalf("%v: the last token ends at %d, there are %d bytes and %d held back", ids, end, len(got), d.Held())
		}
	}
	if got = d.Close(got); string(got) != string(want) {
		t.Fatalf("%v: in parts %q, at once %q", ids, got, want)
	}
	last := 0
	for i, end := range ends {
		if end != wantEnds[i] || end < last || end > len(want) {
			t.Fatalf("%v: token %d ends at %d after %d; at once at %d of %d", ids, i, end, last, wantEnds[i], len(want))
		}
		last = end
	}
}

func TestTextDoesNotDependOnHowIdsAreCut(t *testing.T) {
	v := byteVocab(t)
	id := rapid.OneOf(
		rapid.Int32Range(0, int32(v.Size())),
		rapid.SampledFrom([]int32{0xF0, 0x9F, 0x98, 0x80, 0xE2, 0xED, 0xA0, 0xC2, 256, 257, 258, 259, controlID, tagID, -1, 1 << 30}),
	)
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOf(id).Draw(t, "ids")
		drop := rapid.Bool().Draw(t, "drop")
		decoderLaws(t, v, ids, drop, func(left int) int { return rapid.IntRange(1, left).Draw(t, "cut") })
	})
}

func TestValidTextComesBackWithoutReplacements(t *testing.T) {
	v := byteVocab(t)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune("👩‍🚀🏳️‍🌈你好𠮷é\u0301\x00\uFFFD")))).Draw(t, "text")
		d := v.NewDecoder(false)
		var got []byte
		for i, id := range byteIDs(text) {
			var ends []int
			got, ends = d.Append(got, nil, id)
			if ends[0] != i+1 {
				t.Fatalf("byte %d of %q ends at %d", i, text, ends[0])
			}
			if !strings.HasPrefix(text, string(got)) {
				t.Fatalf("%q: after %d bytes %q", text, i+1, got)
			}
		}
		if got = d.Close(got); string(got) != text {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

// A token belongs where its last byte lies: its end is inside the character
// that its last byte becomes part of, be that the character or U+FFFD.
func TestEndsOfTornCharacters(t *testing.T) {
	v := byteVocab(t)
	for _, c := range []struct {
		name string
		ids  []int32
		text string
		ends []int
	}{
		{"in two tokens", []int32{256, 257, 'a'}, "😀a", []int{2, 4, 5}},
		{"broken off", []int32{256, 'a'}, "\uFFFDa", []int{2, 4}},
		{"broken off twice", []int32{256, 256, 257}, "\uFFFD😀", []int{2, 5, 7}},
		{"never finished", []int32{'a', 256}, "a\uFFFD", []int{1, 3}},
		{"a control token in the middle", []int32{256, controlID, 257}, "😀", []int{2, 2, 4}},
		{"no token", []int32{'a', -1, 99999, 'b'}, "ab", []int{1, 1, 1, 2}},
		{"added tokens verbatim", []int32{tagID, 260}, "<think>hello", []int{7, 12}},
	} {
		d := v.NewDecoder(true)
		text, ends := d.Append(nil, nil, c.ids...)
		text = d.Close(text)
		if string(text) != c.text || !slices.Equal(ends, c.ends) {
			t.Errorf("%s: %q, %v; want %q, %v", c.name, text, ends, c.text, c.ends)
		}
	}
}

func TestLeadingSpaceIsDroppedOnceAtTheStart(t *testing.T) {
	meta, golden := pieceMeta(t)
	data, _, err := ConvertGGUF(meta)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewVocab(data)
	if err != nil {
		t.Fatal(err)
	}
	id := func(token string) int32 {
		id, ok := v.ID(token)
		if !ok {
			t.Fatalf("%q is no token of %d", token, len(golden.Tokens))
		}
		return id
	}
	space, a, bos := id("▁"), id("a"), id("<s>")
	for _, c := range []struct {
		ids  []int32
		want string
	}{
		{[]int32{space, a, space, a}, "a a"},
		{[]int32{space, space, a}, " a"},
		{[]int32{a, space, a}, "a a"},
		{[]int32{bos, space, a}, "a"},
		{[]int32{id("<0x20>"), a}, "a"},
		{[]int32{id("<0xF0>"), id("<0x9F>"), id("<0x98>"), id("<0x80>")}, "😀"},
		{[]int32{id("<0xF0>"), a}, "\uFFFDa"},
		{nil, ""},
	} {
		decodes(t, &Tokenizer{vocab: v}, c.ids, true, c.want)
	}
	d := v.NewDecoder(true)
	d.Continue()
	if text, _ := d.Append(nil, nil, space, a); string(text) != " a" {
		t.Errorf("what goes on from a prompt is %q", text)
	}
}

func FuzzDecoder(f *testing.F) {
	v := byteVocab(f)
	f.Add([]byte("a\xF0\x9F\x98\x80b"), []byte{1, 2}, false)
	f.Add([]byte("\xE2\x80\xED\xA0\x80\xF4\x90"), []byte{1}, true)
	f.Fuzz(func(t *testing.T, raw, cuts []byte, drop bool) {
		ids := make([]int32, len(raw))
		for i, b := range raw {
			ids[i] = int32(b)
			if i%3 == 2 { // reach the longer tokens too
				ids[i] += int32(raw[i-1]) % 8
			}
		}
		decoderLaws(t, v, ids, drop, func(left int) int {
			if len(cuts) == 0 {
				return left
			}
			n := 1 + int(cuts[0])%left
			cuts = cuts[1:]
			return n
		})
	})
}

func TestAppendDoesNotAllocate(t *testing.T) {
	v := byteVocab(t)
	d := v.NewDecoder(true)
	text, ends := make([]byte, 0, 1<<16), make([]int, 0, 1<<16)
	ids := []int32{256, 257, 'a', 260, 259, 0xA0, 0xFF, controlID}
	if n := testing.AllocsPerRun(100, func() {
		text, ends = d.Append(text[:0], ends[:0], ids...)
	}); n != 0 {
		t.Errorf("an Append allocates %v times", n)
	}
	d.Reset()
	if n := testing.AllocsPerRun(100, func() { d.Next('a') }); n != 0 {
		t.Errorf("Next allocates %v times for a token of whole text", n)
	}
}

func BenchmarkDecoder(b *testing.B) {
	v := byteVocab(b)
	d := v.NewDecoder(true)
	ids := []int32{260, 261, 256, 257, 260, 261, 260, 261}
	text, ends := make([]byte, 0, 256), make([]int, 0, 16)
	b.ReportAllocs()
	for b.Loop() {
		text, ends = d.Append(text[:0], ends[:0], ids...)
	}
	b.SetBytes(int64(len(text)))
}
