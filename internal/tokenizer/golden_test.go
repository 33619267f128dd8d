package tokenizer

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	tinyreasoner "github.com/reasond/reasond/testdata/tiny-reasoner"
)

// tiny opens the tokenizer of the embedded model.
func tiny(tb testing.TB) *Tokenizer {
	tb.Helper()
	data, err := tinyreasoner.FS.ReadFile("tokenizer.json")
	if err != nil {
		tb.Fatal(err)
	}
	config, err := tinyreasoner.FS.ReadFile("tokenizer_config.json")
	if err != nil {
		tb.Fatal(err)
	}
	cfg, err := ParseConfig(config)
	if err != nil {
		tb.Fatal(err)
	}
	t, err := New(data, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { t.Close() })
	return t
}

// tinyGolden is what transformers says of the embedded model.
type tinyGolden struct {
	Cases []struct {
		Name       string
		Prompt     string
		PromptIDs  []int32 `json:"prompt_ids"`
		OutputIDs  []int32 `json:"output_ids"`
		OutputText string  `json:"output_text"`
	}
	Tokenizer []struct {
		Text string
		IDs  []int32
	}
}

func readTinyGolden(tb testing.TB) tinyGolden {
	tb.Helper()
	data, err := os.ReadFile("../../testdata/tiny-reasoner/golden.json")
	if err != nil {
		tb.Fatal(err)
	}
	var g tinyGolden
	if err := json.Unmarshal(data, &g); err != nil {
		tb.Fatal(err)
	}
	return g
}

func TestTinyReasonerGoldens(t *testing.T) {
	tok, golden := tiny(t), readTinyGolden(t)
	encodes := func(text string, want []int32) {
		t.Helper()
		got, err := tok.Encode(text, nil)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Encode(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, c := range golden.Tokenizer {
		encodes(c.Text, c.IDs)
		// The normalizer composes characters, so that decoding need not give the
		// same text, but one of the same ids.
		encodes(tok.Vocab().Decode(c.IDs, false), c.IDs)
	}
	for _, c := range golden.Cases {
		encodes(c.Prompt, c.PromptIDs)
		if got := tok.Vocab().Decode(c.OutputIDs, false); got != c.OutputText {
			t.Errorf("%s: Decode = %q; want %q", c.Name, got, c.OutputText)
		}
	}
}

func TestEndIDsOfTheConfiguration(t *testing.T) {
	tok := tiny(t)
	if got := tok.EOS(); !slices.Equal(got, []int32{1273}) {
		t.Errorf("EOS = %v", got)
	}
}
