package tokenizer

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/reasond/reasond/internal/weights"
	"github.com/reasond/reasond/testdata/smollm2"
)

// openSmolLM2 is the tokenizer that the real GGUF file describes.
func openSmolLM2(tb testing.TB) *Tokenizer {
	tb.Helper()
	path := smollm2.Need(tb)
	model, err := weights.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer model.Close()
	tok, err := FromGGUF(model.Meta)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { tok.Close() })
	return tok
}

func TestSmolLM2TokensAreThoseOfTransformers(t *testing.T) {
	tok := openSmolLM2(t)
	var pairs [][2]json.RawMessage
	readJSON(t, "../../testdata/smollm2/tokens.json", &pairs)
	if len(pairs) < 1000 {
		t.Fatalf("%d golden texts, 1,000 are due", len(pairs))
	}
	for _, pair := range pairs {
		var text string
		var want []int32
		if err := json.Unmarshal(pair[0], &text); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(pair[1], &want); err != nil {
			t.Fatal(err)
		}
		got, err := tok.Encode(text, nil)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Encode(%q) = %v, %v; want %v", text, got, err, want)
		}
		if text := tok.Vocab().Decode(want, false); !same(t, tok, text, want) {
			t.Errorf("Decode(%v) = %q", want, text)
		}
	}
}

func TestSmolLM2PromptsAreThoseOfTransformers(t *testing.T) {
	tok := openSmolLM2(t)
	var golden struct {
		Prompts []struct {
			Text      string
			IDs       []int32
			Generated []int32
		}
	}
	readJSON(t, "../../testdata/smollm2/golden.json", &golden)
	if len(golden.Prompts) == 0 {
		t.Fatal("no golden prompts")
	}
	for _, p := range golden.Prompts {
		got, err := tok.Encode(p.Text, nil)
		if err != nil || !slices.Equal(got, p.IDs) {
			t.Errorf("Encode(%q) = %v, %v; want %v", p.Text, got, err, p.IDs)
		}
		if text := tok.Vocab().Decode(p.Generated, false); !same(t, tok, text, p.Generated) {
			t.Errorf("Decode(%v) = %q", p.Generated, text)
		}
	}
}

// same says whether the library decodes ids to text too.
func same(tb testing.TB, tok *Tokenizer, text string, ids []int32) bool {
	tb.Helper()
	want, err := tok.lib.Decode(ids, false)
	if err != nil {
		tb.Fatal(err)
	}
	return text == want
}

func TestSmolLM2EndsItsTurn(t *testing.T) {
	tok := openSmolLM2(t)
	end, ok := tok.Vocab().ID("<|im_end|>")
	if !ok || !slices.Contains(tok.EOS(), end) || !tok.Vocab().IsControl(end) {
		t.Errorf("<|im_end|> is %d, %v; EOS = %v", end, ok, tok.EOS())
	}
	ids, err := tok.Encode("<|im_start|>user\nhi<|im_end|>\n", []Span{{Start: 16, End: 16}})
	if err != nil || len(ids) != 6 || ids[4] != end {
		t.Errorf("a turn is %v, %v", ids, err)
	}
}
