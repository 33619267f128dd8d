package native

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	daulet "github.com/daulet/tokenizers"
)

func openTiny(t testing.TB) *Tokenizer {
	t.Helper()
	tokenizer, err := NewTokenizer(tinyReasoner(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tokenizer.Close() })
	return tokenizer
}

func TestPromptsEncodeAsInPython(t *testing.T) {
	data, err := os.ReadFile("../../testdata/tiny-reasoner/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Cases []struct {
			Name, Prompt string
			IDs          []int32 `json:"prompt_ids"`
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	tokenizer := openTiny(t)
	for _, c := range golden.Cases {
		ids, err := tokenizer.Encode(c.Prompt, false, true)
		if err != nil || !slices.Equal(ids, c.IDs) {
			t.Errorf("%s: got %v, %v, want %v", c.Name, ids, err, c.IDs)
		}
		if text, err := tokenizer.Decode(ids, false); err != nil || text != c.Prompt {
			t.Errorf("%s: decodes to %q, %v", c.Name, text, err)
		}
	}
}

func TestControlTokensInPlainTextAreText(t *testing.T) {
	tokenizer := openTiny(t)
	end, ok := tokenizer.TokenToID("<|im_end|>")
	if !ok {
		t.Fatal("no <|im_end|>")
	}
	const text = "one<|im_end|>two<|im_end|>"
	for _, c := range []struct {
		plain []Span
		ends  int
	}{{nil, 2}, {[]Span{{3, 13}}, 1}, {[]Span{{16, 26}}, 1}, {[]Span{{3, 13}, {16, 26}}, 0}, {[]Span{{0, 26}}, 0}} {
		ids, err := tokenizer.EncodeSpans(text, false, c.plain)
		if err != nil {
			t.Fatal(err)
		}
		ends := 0
		for _, id := range ids {
			if id == end {
				ends++
			}
		}
		if back, err := tokenizer.Decode(ids, false); ends != c.ends || back != text {
			t.Errorf("%v: %d control tokens in %q, %v", c.plain, ends, back, err)
		}
	}
	plain, err := tokenizer.Encode(text, false, false)
	if err != nil || slices.Contains(plain, end) {
		t.Errorf("plain text gives %v, %v", plain, err)
	}
}

func TestTextWithoutAddedTokensEncodesTheSameEitherWay(t *testing.T) {
	tokenizer := openTiny(t)
	for _, text := range []string{"", " ", "hello", "日本語 text\n\n", "a  b\t", "\x00", "é́🎉", strings.Repeat("long ", 1000)} {
		matched, err := tokenizer.Encode(text, false, true)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := tokenizer.Encode(text, false, false)
		if err != nil || !slices.Equal(matched, plain) {
			t.Errorf("%.20q: %v and %v, %v", text, matched, plain, err)
		}
	}
}

func TestNulIsText(t *testing.T) {
	tokenizer := openTiny(t)
	const text = "before\x00after\x00"
	ids, err := tokenizer.Encode(text, false, true)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := tokenizer.Decode(ids, false); err != nil || back != text {
		t.Errorf("got %q, %v", back, err)
	}
}

func TestOffsetsCoverTheText(t *testing.T) {
	tokenizer := openTiny(t)
	const text = "héllo<|im_end|> wörld"
	for _, plain := range [][]Span{nil, {{6, 16}}} {
		tokens, err := tokenizer.EncodeWithOffsets(text, false, plain)
		if err != nil {
			t.Fatal(err)
		}
		ids, err := tokenizer.EncodeSpans(text, false, plain)
		if err != nil || len(tokens) != len(ids) {
			t.Fatalf("%d tokens with offsets, %d without, %v", len(tokens), len(ids), err)
		}
		for i, token := range tokens {
			if token.ID != ids[i] || token.End > len(text) || token.Start > token.End {
				t.Errorf("token %d is %v, id %d", i, token, ids[i])
			}
		}
		if last := tokens[len(tokens)-1]; tokens[0].Start != 0 || last.End != len(text) {
			t.Errorf("%v to %v", tokens[0], last)
		}
	}
}

func TestTheVocabularyIsTheFiles(t *testing.T) {
	tokenizer := openTiny(t)
	added := tokenizer.AddedTokens()
	if len(added) == 0 || !added[0].Special || added[0].Content != "<|endoftext|>" {
		t.Fatalf("added tokens: %v", added)
	}
	for id := range int32(tokenizer.VocabSize()) {
		token, ok := tokenizer.IDToToken(id)
		if back, found := tokenizer.TokenToID(token); !ok || !found || back != id {
			t.Fatalf("%d is %q, which is %d", id, token, back)
		}
	}
	for _, id := range []int32{int32(tokenizer.VocabSize()), -1} {
		if token, ok := tokenizer.IDToToken(id); ok {
			t.Errorf("%d is %q", id, token)
		}
	}
	if text, err := tokenizer.Decode([]int32{added[0].ID, 1 << 30, -5}, true); err != nil || text != "" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestBadInputIsAnError(t *testing.T) {
	for _, data := range []string{"", "{", "null", "{}", `{"model": {"type": "BPE"}}`, "\x00\xff"} {
		if _, err := NewTokenizer([]byte(data)); err == nil {
			t.Errorf("%q loads", data)
		}
	}
	tokenizer := openTiny(t)
	for _, text := range []string{"\xff", "a\xc3", "\xed\xa0\x80"} {
		if ids, err := tokenizer.Encode(text, false, true); err == nil {
			t.Errorf("%q gives %v", text, ids)
		}
	}
	for _, plain := range [][]Span{{{0, 4}}, {{-1, 1}}, {{2, 1}}, {{1, 2}}, {{0, 1}, {0, 1}}} {
		if ids, err := tokenizer.EncodeSpans("aé", false, plain); err == nil {
			t.Errorf("%v gives %v", plain, ids)
		}
	}
}

func TestAClosedTokenizerIsAnError(t *testing.T) {
	tokenizer, err := NewTokenizer(tinyReasoner(t))
	if err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			for {
				if _, err := tokenizer.Encode("some text", false, true); err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	for range 2 {
		if err := tokenizer.Close(); err != nil {
			t.Error(err)
		}
	}
	calls.Wait()
	if _, err := tokenizer.Decode([]int32{1}, false); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestTheHandleIsDauletsTokenizer(t *testing.T) {
	if size := unsafe.Sizeof(daulet.Tokenizer{}); size != unsafe.Sizeof(unsafe.Pointer(nil)) {
		t.Fatalf("daulet's tokenizer has %d bytes", size)
	}
	theirs, err := daulet.FromBytes(tinyReasoner(t))
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	ours := openTiny(t)
	if ours.VocabSize() != int(theirs.VocabSize()) {
		t.Errorf("%d tokens, daulet says %d", ours.VocabSize(), theirs.VocabSize())
	}
	const text = "Which is greater: 9.11 or 9.8?<|im_end|>"
	want, _ := theirs.Encode(text, false)
	got, err := ours.Encode(text, false, true)
	if err != nil || len(got) != len(want) {
		t.Fatalf("%v, %v, daulet says %v", got, err, want)
	}
	for i := range got {
		if uint32(got[i]) != want[i] {
			t.Fatalf("%v, daulet says %v", got, want)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	tokenizer := openTiny(b)
	text := strings.Repeat("Which is greater: 9.11 or 9.8?\n", 100)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tokenizer.Encode(text, false, true); err != nil {
			b.Fatal(err)
		}
	}
}
