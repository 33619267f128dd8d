package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/tokenizer"
	"github.com/reasond/reasond/internal/weights"
)

// drafting is the model that guesses ahead, as far as all engines share it: each
// computes it on a backend of its own.
type drafting struct {
	src  *weights.Model
	arch model.Config
}

// openDrafting opens the weights of cfg.Draft; nil: nobody asked for it, or for no
// guesses at all.
func openDrafting(cfg Config) (*drafting, error) {
	switch {
	case cfg.Draft == "" || cfg.DraftTokens == 0:
		return nil, nil
	case cfg.Device.CUDA:
		return nil, errors.New("--draft-model: a GPU cannot check guesses yet; --device cpu can")
	case cfg.TensorParallel > 1:
		return nil, fmt.Errorf("--draft-model does not go together with --tensor-parallel-size %d", cfg.TensorParallel)
	}
	src, err := openWeights(draftPath(cfg.Draft))
	if err != nil {
		return nil, fmt.Errorf("--draft-model: %w", err)
	}
	arch, err := model.ParseConfig(src.Config)
	if err != nil {
		src.Close()
		return nil, fmt.Errorf("--draft-model %s: %w", src.Path, err)
	}
	return &drafting{src: src, arch: arch}, nil
}

// draftPath is what openWeights takes: the embedded model by its name, where no file
// has it.
func draftPath(name string) string {
	if _, err := os.Stat(name); name == Embedded && err != nil {
		return ""
	}
	return name
}

func (d *drafting) close() {
	if d != nil {
		d.src.Close()
	}
}

// fits says whether the ids of a model's vocabulary mean the same to the draft model.
func (d *drafting) fits(own *tokenizer.Vocab) error {
	if d == nil {
		return nil
	}
	tok, _, err := openTokenizer(d.src)
	if err != nil {
		return fmt.Errorf("--draft-model %s: %w", d.src.Path, err)
	}
	defer tok.Close()
	if err := sameTokens(own, tok.Vocab()); err != nil {
		return fmt.Errorf("--draft-model %s: %w", d.src.Path, err)
	}
	return nil
}

// fewTokens is how many tokens more one of two vocabularies may have behind the
// other's: those of a later version, and padding.
const fewTokens = 512

// sameTokens names the first id that means something else to a draft model. What only
// one of them has at its end is no difference: it is never guessed.
func sameTokens(own, drafts *tokenizer.Vocab) error {
	for id := range int32(min(own.Size(), drafts.Size())) {
		if own.Has(id) != drafts.Has(id) || own.IsControl(id) != drafts.IsControl(id) || !bytes.Equal(own.Bytes(id), drafts.Bytes(id)) {
			return fmt.Errorf("token %d is %s, and %s in the model: a draft model needs the model's vocabulary", id, named(drafts, id), named(own, id))
		}
	}
	if few, many := min(own.Size(), drafts.Size()), max(own.Size(), drafts.Size()); many-few > fewTokens {
		return fmt.Errorf("it has %d tokens, the model %d: a draft model needs the model's vocabulary", drafts.Size(), own.Size())
	}
	return nil
}

func named(v *tokenizer.Vocab, id int32) string {
	if !v.Has(id) {
		return "none"
	}
	return fmt.Sprintf("%.80q", v.Name(id))
}

// size is the configuration of its backend beside a model of this one's. Its context
// ends where it was made to, and it computes as fast as it can: nothing hangs on its
// figures but time.
func (d *drafting) size(of backend.Config) backend.Config {
	own := max(d.arch.MaxContext()/backend.PageTokens, 1) * backend.PageTokens
	of.Float32, of.MaxLogits, of.MaxContext = false, of.MaxSeqs, min(of.MaxContext, own)
	return of
}

// load puts the draft model beside a model of this size.
func (d *drafting) load(cfg Config, of backend.Config) (*engine.DraftModel, error) {
	if d == nil {
		return nil, nil
	}
	size := d.size(of)
	be, err := cfg.Device.open(size)
	if err == nil {
		_, err = model.Load(d.src, be, weights.Shard{Size: 1})
		if err != nil {
			be.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("--draft-model %s: %w", d.src.Path, err)
	}
	return &engine.DraftModel{Backend: be, Config: size}, nil
}

// bytes are what its weights and a page of its keys and values take.
func (d *drafting) bytes() (weights, page int64) {
	if d == nil {
		return 0, 0
	}
	return d.src.TotalBytes(), pageBytes(Config{}, &d.arch)
}
