package bundle

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/tokenizer"
	"github.com/reasond/reasond/testdata/bytemodel"
)

// Law: with a draft model the answers are what transformers gives, by one engine and
// by two, and its guesses are checked; switched off, there are none.
func TestADraftModelGuessesAndChangesNothing(t *testing.T) {
	cases := idCases(t, 3)
	for _, c := range []struct{ dp, tokens int }{{1, 4}, {2, 4}, {1, 0}} {
		t.Run(fmt.Sprintf("dp=%d, %d tokens", c.dp, c.tokens), func(t *testing.T) {
			b, err := Open(Config{Float32: true, DataParallel: c.dp, Threads: 2, MaxModelLen: 512, MaxSeqs: 4, Draft: Embedded, DraftTokens: c.tokens})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				for i, got := range outputs(t, b.Engine, cases, 60) {
					if want := first(cases[i].Output, 60); !slices.Equal(got, want) {
						t.Errorf("%s:\n got %v\nwant %v", cases[i].Name, got, want)
					}
				}
			}
			if s := b.Engine.Stats(); c.tokens == 0 && s.DraftTokens > 0 || s.PagesFree != s.PagesTotal {
				t.Errorf("%+v", s)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A draft model that cannot be used is an error of one line that names the flag.
func TestADraftModelThatDoesNotFitIsRefused(t *testing.T) {
	other := t.TempDir()
	if err := bytemodel.Write(other, 1, nil); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken.gguf")
	if err := os.WriteFile(broken, []byte("no weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"other tokens", Config{Draft: other}, "token 0 is "},
		{"not there", Config{Draft: filepath.Join(other, "none.gguf")}, "none.gguf"},
		{"no model", Config{Draft: broken}, "broken.gguf"},
		{"a GPU", Config{Draft: Embedded, Device: Device{CUDA: true}}, "--device cpu"},
		{"ranks", Config{Draft: Embedded, TensorParallel: 2}, "--tensor-parallel-size 2"},
	} {
		c.cfg.DraftTokens = 4
		b, err := Open(c.cfg)
		if err == nil {
			b.Close()
			t.Errorf("%s: it opens", c.name)
			continue
		}
		if !strings.Contains(err.Error(), "--draft-model") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Two vocabularies are the same where every id of both means the same bytes; what one
// has more at its end is padding, or of a later version.
func TestVocabulariesAreComparedByTheirIDs(t *testing.T) {
	vocab := func(words, control []string) *tokenizer.Vocab {
		v, err := tokenizer.NewVocab(bytemodel.Tokenizer(words, control))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	var padding []string
	for i := range fewTokens + 1 {
		padding = append(padding, fmt.Sprintf("<pad%d>", i))
	}
	own := vocab([]string{"one", "two"}, bytemodel.Control)
	for _, c := range []struct {
		name  string
		draft *tokenizer.Vocab
		want  string // in the error; empty: none
	}{
		{"the same", vocab([]string{"one", "two"}, bytemodel.Control), ""},
		{"padded", vocab([]string{"one", "two"}, append(slices.Clone(bytemodel.Control), padding[:fewTokens]...)), ""},
		{"shorter", vocab([]string{"one", "two"}, bytemodel.Control[:2]), ""},
		{"another word", vocab([]string{"one", "too"}, bytemodel.Control), `token 257 is "too", and "two" in the model`},
		{"words in another order", vocab([]string{"two", "one"}, bytemodel.Control), `token 256 is "two", and "one" in the model`},
		{"a word for a control token", vocab([]string{"one", "two", bytemodel.Control[0]}, bytemodel.Control[1:]), "token 258"},
		{"far longer", vocab([]string{"one", "two"}, append(slices.Clone(bytemodel.Control), padding...)), fmt.Sprintf("it has %d tokens, the model 262", 262+fewTokens+1)},
	} {
		err := sameTokens(own, c.draft)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// A draft model's weights and pages count where memory is divided, and its context is
// its own.
func TestADraftModelTakesItsPartOfTheMemory(t *testing.T) {
	arch := &model.Config{Positions: 1024, Layers: 4, Hidden: 64, Heads: 8, KVHeads: 4, HeadDim: 32, Intermediate: 128, Vocab: 1000}
	cfg := Config{MaxBatchedTokens: 64, MaxSeqs: 4}
	const weightBytes, pages = 1 << 20, 40
	alone, err := sizes(cfg, arch, weightBytes, weightBytes+2*pages*pageBytes(cfg, arch))
	if err != nil || alone.Pages != pages {
		t.Fatalf("%+v, %v", alone, err)
	}
	d, err := openDrafting(Config{Draft: Embedded, DraftTokens: 4, TensorParallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	cfg.drafting = d
	weights, page := d.bytes()
	both, err := sizes(cfg, arch, weightBytes, weightBytes+weights+2*pages*(pageBytes(cfg, arch)+page))
	if err != nil || both.Pages != pages || weights < 1<<20 || page == 0 {
		t.Errorf("%+v, %v; %d and %d bytes", both, err, weights, page)
	}
	d.arch.Positions = 100
	size := d.size(backend.Config{Float32: true, MaxRows: 64, MaxSeqs: 4, MaxContext: 1024, Pages: 9})
	if size.MaxContext != 96 || size.Float32 || size.Pages != 9 || size.MaxLogits != 4 || size.Validate() != nil {
		t.Errorf("%+v", size)
	}
}
