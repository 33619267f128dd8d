// Package bundle opens a model: weights, tokenizer, chat template, reasoning
// parser and engine become one pipeline.Model. It decides how much memory the
// KV pages get and knows no HTTP, no flags and no environment.
package bundle

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/reasond/reasond/api/reasoning/builtin"
	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/weights"
	tinyreasoner "github.com/reasond/reasond/testdata/tiny-reasoner"
)

// Embedded is the name of the model that is part of the binary.
const Embedded = "tiny-reasoner"

// Config says what to open and how large. Zero numbers mean the default.
type Config struct {
	Path  string // model folder or .gguf file; empty: the embedded model
	Name  string // the name it is served under; empty: Path's last element
	Names []string

	Device           Device
	Float32          bool  // compute exactly, in float32
	MaxModelLen      int   // tokens of one choice; default: the model's own, as far as memory allows
	MaxSeqs          int   // choices computed in one step; 64
	MaxBatchedTokens int   // tokens computed in one step; 512
	MaxWaiting       int   // requests that may wait; 256
	Threads          int   // default: the cores that the process may use
	KVBytes          int64 // of each engine, on each of its devices
	NoPrefixCache    bool

	DraftTokens     int           // most tokens that are guessed ahead of a choice in a step; 0: none
	Draft           string        // folder or .gguf file of a model that guesses them too, or Embedded; empty: none
	MaxPrefillStall time.Duration // most that others' prompts may delay a token; default: the engine's

	// TensorParallel devices share each layer, and DataParallel engines have the
	// whole model each, on devices of their own from Device on; 1. On the CPU,
	// engines and ranks divide the threads.
	TensorParallel, DataParallel int

	ChatTemplate   string // source of a template that replaces the model's
	TemplateKwargs map[string]json.RawMessage
	Parser         string // reasoning parser; empty: what the model shows, if it does; auto: that, or Open fails
	NoParser       bool
	ToolParser     string // how content writes tool calls, in the same way

	// Progress is told how many bytes of weights lie ready; nil: nobody asks.
	Progress func(done, total int64)

	failed   func() error // why opening is in vain already; nil: it is not
	drafting *drafting    // of Draft; nil: none
}

func (c *Config) setDefaults() {
	c.TensorParallel, c.DataParallel = max(c.TensorParallel, 1), max(c.DataParallel, 1)
	c.MaxSeqs = cmp.Or(c.MaxSeqs, 64)
	c.MaxBatchedTokens = max(cmp.Or(c.MaxBatchedTokens, 512), c.MaxSeqs)
	c.MaxWaiting = cmp.Or(c.MaxWaiting, 256)
	if c.Path == "" {
		c.Name = cmp.Or(c.Name, Embedded)
	}
	if c.NoParser {
		c.Parser = NoParser
	}
	c.Name = cmp.Or(c.Name, strings.TrimSuffix(filepath.Base(c.Path), ".gguf"))
}

// Bundle is an opened model. Close it after everything that uses it has ended.
type Bundle struct {
	*pipeline.Model
	Config  model.Config
	Backend backend.Info
	Pages   int
	// NoParser says why the model shows no reasoning parser; nil where it has one
	// or none was looked for.
	NoParser error

	grammars *grammars // nil: others make the tokens
}

// Open opens a model. An error is one line for the user.
func Open(cfg Config) (*Bundle, error) {
	cfg.setDefaults()
	if err := knownParser(cfg.Parser); err != nil {
		return nil, err // at once: a large model takes its time
	}
	src, err := openWeights(cfg.Path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	if cfg.drafting, err = openDrafting(cfg); err != nil {
		return nil, err
	}
	defer cfg.drafting.close()
	text := openingText(cfg, src)
	cfg.failed = text.failed
	b, err := open(cfg, src, text)
	side, failed := text.wait() // reads src
	if failed != nil {
		return nil, fmt.Errorf("model %s: %w", src.Path, failed)
	}
	if err != nil {
		side.close()
		return nil, err
	}
	b.Renderer, b.Tokenizer = side.renderer, side.tokenizer
	b.Parser, b.NoParser, b.Tools = side.parser, side.noParser, side.tools
	b.grammars = &grammars{tokenizer: side.tokenizer, eos: b.EOS}
	b.Grammars = b.grammars
	return b, nil
}

// open puts the weights on its devices and starts the engines. It needs of the
// text side what ends an answer, and that at its end.
func open(cfg Config, src *weights.Model, text *openText) (*Bundle, error) {
	made, err := startAll(cfg, src, text)
	if err != nil {
		return nil, err
	}
	eng, err := made.join(cfg)
	if err != nil {
		return nil, errors.Join(err, made.close())
	}
	first := made[0]
	b := &Bundle{
		Model: &pipeline.Model{
			Name: cfg.Name, Aliases: cfg.Names, Created: time.Now(),
			Engine:   eng,
			Defaults: first.loaded.Generation.Defaults(), Kwargs: cfg.TemplateKwargs,
			MaxContext: contextOf(cfg, &first.loaded.Config, first.size), EOS: first.eos,
		},
		Config: first.loaded.Config, Backend: first.info,
	}
	for _, m := range made {
		b.Pages += m.size.Pages
		b.MaxContext = min(b.MaxContext, contextOf(cfg, &m.loaded.Config, m.size))
	}
	return b, nil
}

// Close stops the engine and frees what the bundle holds.
func (b *Bundle) Close() error {
	err := b.Engine.Close()
	if b.grammars != nil {
		b.grammars.close()
	}
	if b.Tokenizer != nil {
		(&textSide{tokenizer: b.Tokenizer, renderer: b.Renderer}).close()
	}
	return err
}

func openWeights(path string) (*weights.Model, error) {
	if path == "" {
		return weights.OpenFS(tinyreasoner.FS, Embedded)
	}
	return weights.Open(path)
}
