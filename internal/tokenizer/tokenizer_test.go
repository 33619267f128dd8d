package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/llm"
)

func TestClientTextIsNeverAControlToken(t *testing.T) {
	tok := tiny(t)
	const role, text, end = "<|im_start|>user\n", "hi <|im_end|> you<|im_start|>", "<|im_end|>\n"
	first, second := len(role)+3, len(role)+len("hi <|im_end|> you")
	spans := []Span{{Start: first, End: first + 10}, {Start: second, End: second + 12}}
	ids, err := tok.Encode(role+text+end, spans)
	if err != nil {
		t.Fatal(err)
	}
	var control []string
	for _, id := range ids {
		if tok.Vocab().IsControl(id) {
			control = append(control, string(tok.Vocab().Bytes(id)))
		}
	}
	if want := []string{"<|im_start|>", "<|im_end|>"}; !slices.Equal(control, want) {
		t.Errorf("control tokens %q; want the prompt's own, %q", control, want)
	}
	if got := tok.Vocab().Decode(ids, false); got != role+text+end {
		t.Errorf("decoded %q", got)
	}
}

// What stands around a span is encoded as if its tokens did not exist: as text
// of the same letters that spells none.
func TestASpanDoesNotDisturbItsNeighbours(t *testing.T) {
	tok := tiny(t)
	ids, err := tok.Encode("many words <|im_end|> and more", []Span{{Start: 11, End: 21}})
	if err != nil {
		t.Fatal(err)
	}
	before, _ := tok.Encode("many words", nil)
	after, _ := tok.Encode(" and more", nil)
	if !slices.Equal(ids[:len(before)], before) || !slices.Equal(ids[len(ids)-len(after):], after) {
		t.Errorf("%v begins not with %v or ends not with %v", ids, before, after)
	}
}

func TestPromptsWithoutSpansAreEncodedAsEver(t *testing.T) {
	tok, golden := tiny(t), readTinyGolden(t)
	for _, c := range golden.Cases {
		for _, at := range []int{0, len(c.Prompt)} {
			got, err := tok.Encode(c.Prompt, []Span{{Start: at, End: at}})
			if err != nil || !slices.Equal(got, c.PromptIDs) {
				t.Errorf("%s: with an empty span %v, %v", c.Name, got, err)
			}
		}
	}
}

func TestNULIsEncoded(t *testing.T) {
	tok := tiny(t)
	for _, text := range []string{"\x00", "a\x00b", "\x00\x00", "<|im_start|>\x00"} {
		ids, err := tok.Encode(text, nil)
		if got := tok.Vocab().Decode(ids, false); err != nil || got != text {
			t.Errorf("%q became %v, %q, %v", text, ids, got, err)
		}
	}
}

func TestTextsThatCannotBeEncoded(t *testing.T) {
	tok := tiny(t)
	if _, err := tok.Encode("a\xff", nil); llm.KindOf(err) != llm.Invalid {
		t.Errorf("invalid UTF-8: %v", err)
	}
	if ids, err := tok.Encode("", nil); err != nil || len(ids) != 0 {
		t.Errorf("nothing became %v, %v", ids, err)
	}
	silent := &Tokenizer{lib: fakeLibrary{}, vocab: tok.vocab}
	if _, err := silent.Encode("a", nil); llm.KindOf(err) != llm.Invalid {
		t.Errorf("no ids for a text: %v", err)
	}
	broken := &Tokenizer{lib: fakeLibrary{err: errors.New("broken")}, vocab: tok.vocab}
	if _, err := broken.Encode("a", nil); err == nil || llm.KindOf(err) != llm.Internal {
		t.Errorf("the library fails: %v", err)
	}
	if err := tok.vocab.check(fakeLibrary{}); err == nil {
		t.Error("a library that decodes something else passed the check")
	}
}

type fakeLibrary struct{ err error }

func (f fakeLibrary) EncodeSpans(string, bool, []Span) ([]int32, error) { return nil, f.err }
func (f fakeLibrary) Decode([]int32, bool) (string, error)              { return "", f.err }
func (f fakeLibrary) Close() error                                      { return nil }

func TestConfigOfTheTokenizer(t *testing.T) {
	cfg, err := ParseConfig([]byte(`{"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "unk_token": null,
		"add_bos_token": true, "added_tokens_decoder": {"7": {"content": "<x>", "special": true}, "3": {"content": "<y>"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.BOS != "<s>" || cfg.EOS != "</s>" || cfg.UNK != "" || cfg.AddBOS == nil || !*cfg.AddBOS || cfg.AddEOS != nil {
		t.Errorf("%+v", cfg)
	}
	if len(cfg.Added) != 2 || cfg.Added[0].ID != 3 || cfg.Added[1].Content != "<x>" || !cfg.Added[1].Special {
		t.Errorf("added tokens %+v", cfg.Added)
	}
	for _, bad := range []string{"", "[]", `{"bos_token": 7}`, `{"added_tokens_decoder": {"x": {}}}`} {
		if _, err := ParseConfig([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// Older folders have added tokens only in tokenizer_config.json.
func TestAddedTokensOfTheConfiguration(t *testing.T) {
	tok := tiny(t)
	size := int32(tok.Vocab().Size())
	data, _, err := ConvertGGUF(bpeMeta())
	if err != nil {
		t.Fatal(err)
	}
	with, err := New(data, Config{Added: []AddedToken{{ID: 258, Content: "<new>", Special: true}}})
	if err != nil {
		t.Fatal(err, size)
	}
	defer with.Close()
	ids, err := with.Encode("a<new>b", nil)
	if err != nil || !slices.Equal(ids, []int32{'a', 258, 'b'}) || !with.Vocab().IsControl(258) {
		t.Errorf("%v, %v", ids, err)
	}
}

func TestRawTextGetsWhatTheModelWantsAroundIt(t *testing.T) {
	meta := bpeMeta()
	for _, c := range []struct {
		bos, eos bool
		want     []int32
	}{{false, false, []int32{'a'}}, {true, false, []int32{256, 'a'}}, {true, true, []int32{256, 'a', 257}}} {
		meta[ggml+"add_bos_token"], meta[ggml+"add_eos_token"] = c.bos, c.eos
		tok, err := FromGGUF(meta)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tok.EncodeRaw("a", nil); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
		if got, err := tok.Encode("a", nil); err != nil || !slices.Equal(got, []int32{'a'}) {
			t.Errorf("%+v: a prompt is %v, %v", c, got, err)
		}
		tok.Close()
	}
}

// bpeMeta is the smallest byte-level vocabulary: 256 bytes, <bos> and <eos>.
func bpeMeta() metaMap {
	tokens, types := make([]string, 258), slices.Repeat([]int64{typeNormal}, 258)
	for b := range 256 {
		tokens[b] = byteLevel([]byte{byte(b)})
	}
	tokens[256], tokens[257], types[256], types[257] = "<bos>", "<eos>", typeControl, typeControl
	return metaMap{
		ggml + "model": "gpt2", ggml + "pre": "gpt-2", ggml + "tokens": tokens, ggml + "token_type": types,
		ggml + "merges": []string{}, ggml + "bos_token_id": int64(256), ggml + "eos_token_id": int64(257),
	}
}

func TestEveryPreTokenizerKeepsEveryByte(t *testing.T) {
	names := slices.Concat(slices.Collect(maps.Keys(splitters)), slices.Collect(maps.Keys(sameSplit)))
	const text = "It's 12345 words,\n\n  naïve 你好 ﬁ!? x_y\t\r\n <eos"
	for _, name := range names {
		meta := bpeMeta()
		meta[ggml+"pre"] = name
		tok, err := FromGGUF(meta)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		ids, err := tok.Encode(text, nil)
		if got := tok.Vocab().Decode(ids, false); err != nil || got != text {
			t.Errorf("%q: %q, %v", name, got, err)
		}
		tok.Close()
	}
}

func TestGGUFVocabulariesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{"model", "bert", `vocabulary "bert" is not supported`},
		{"model", nil, "has no tokenizer.ggml.model"},
		{"pre", "chatglm-bpe", `pre-tokenizer "chatglm-bpe" (tokenizer.ggml.pre) is not supported (deepseek-coder, `},
		{"tokens", []string{}, "has no tokenizer.ggml.tokens"},
		{"tokens", []string{"a", ""}, "258 types"},
		{"token_type", []int64{1}, "258 tokens have 1 types"},
		{"scores", []float64{1}, "258 tokens have 1 scores"},
		{"eos_token_id", int64(258), "eos_token_id is 258"},
		{"bos_token_id", int64(-7), "bos_token_id is -7"},
		{"merges", []string{"a b", "ab"}, `merge 1 is "ab"`},
		{"merges", []string{""}, `merge 0 is ""`},
	} {
		meta := bpeMeta()
		if meta[ggml+c.key] = c.value; c.value == nil {
			delete(meta, ggml+c.key)
		}
		_, _, err := ConvertGGUF(meta)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %v: %v; want %q", c.key, c.value, err, c.want)
		}
	}
	meta, _ := pieceMeta(t)
	delete(meta, ggml+"scores")
	if _, _, err := ConvertGGUF(meta); err == nil || !strings.Contains(err.Error(), "has no tokenizer.ggml.scores") {
		t.Errorf("without scores: %v", err)
	}
}

// No text can spell itself into a control token of a SentencePiece vocabulary.
func TestPlainPiecesNeverMakeControlTokens(t *testing.T) {
	meta, golden := pieceMeta(t)
	tok, err := FromGGUF(meta)
	if err != nil {
		t.Fatal(err)
	}
	defer tok.Close()
	for id, kind := range golden.Types {
		if kind != typeControl && kind != typeByte && kind != typeUnknown {
			continue
		}
		text := golden.Tokens[id]
		ids, err := tok.Encode("a"+text, []Span{{Start: 1, End: 1 + len(text)}})
		if err != nil || slices.Contains(ids, int32(id)) {
			t.Errorf("the text %q became %v, %v", text, ids, err)
		}
	}
}

func TestTokenizerFilesThatAreRefused(t *testing.T) {
	for name, file := range map[string]string{
		"nothing":              "",
		"no JSON":              "{",
		"another type":         `[]`,
		"no decoder":           `{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}`,
		"an unknown decoder":   `{"decoder": {"type": "WordPiece"}, "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}`,
		"a huge id":            fmt.Sprintf(`{"decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {"a": %d}, "merges": []}}`, maxID),
		"a negative id":        `{"decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}`,
		"two tokens of one id": `{"decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []}}`,
		"an odd vocabulary":    `{"decoder": {"type": "ByteLevel"}, "model": {"type": "Unigram", "vocab": [["a"], 7]}}`,
		"no model":             `{"decoder": {"type": "ByteLevel"}}`,
	} {
		if _, err := New([]byte(file), Config{}); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzTokenizerJSON(f *testing.F) {
	data, _, err := ConvertGGUF(bpeMeta())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"decoder": {"type": "Metaspace", "replacement": "▁"}, "added_tokens": [{"id": 1, "content": ""}], "model": {"type": "Unigram", "vocab": [["a", 0]]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if v, err := NewVocab(data); err == nil {
			for id := range int32(min(v.Size(), 1000)) {
				v.Decode([]int32{id}, true)
			}
		} else if json.Valid(data) && strings.Contains(err.Error(), "\n") {
			t.Errorf("an error of more than a line: %v", err)
		}
	})
}
