package bundle

import (
	"context"
	"sync"

	"github.com/reasond/reasond/internal/grammar"
	"github.com/reasond/reasond/internal/tokenizer"
)

// grammars compiles grammars for a model's vocabulary. Its trie takes a pass over
// that, so it is made when the first grammar is asked for.
type grammars struct {
	tokenizer *tokenizer.Tokenizer
	eos       []int32

	once     sync.Once
	compiler *grammar.Compiler
	err      error
}

// Compile implements pipeline.Grammars.
func (g *grammars) Compile(ctx context.Context, spec grammar.Spec) (grammar.Compiled, error) {
	g.once.Do(func() {
		trie, err := g.tokenizer.Trie(g.eos)
		if err != nil {
			g.err = err
			return
		}
		g.compiler = grammar.NewCompiler(trie)
	})
	if g.err != nil {
		return nil, g.err
	}
	return g.compiler.Compile(ctx, spec)
}

// close frees the trie. Nothing is compiled any more.
func (g *grammars) close() {
	g.once.Do(func() {})
	if g.compiler != nil {
		g.compiler.Close()
	}
}
