package grammar

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/reasond/reasond/internal/native"
)

// Compiled is a grammar that is ready for use.
type Compiled = *native.Grammar

// Compiler compiles grammars for one vocabulary and remembers the last ones. It
// is safe for concurrent use.
type Compiler struct {
	trie  *native.Trie
	slots chan struct{} // compilations at a time

	mu    sync.Mutex
	known map[Spec]*list.Element
	order *list.List // of *entry, last used first
}

type entry struct {
	spec    Spec
	ready   chan struct{}
	grammar *native.Grammar
	err     error
}

// remembered is how many grammars a Compiler keeps. With what one may take at
// most that bounds their memory.
const remembered = 32

// NewCompiler makes a compiler over a trie, which it owns from now on.
func NewCompiler(trie *native.Trie) *Compiler {
	return &Compiler{trie: trie, slots: make(chan struct{}, 2), known: map[Spec]*list.Element{}, order: list.New()}
}

// Compile is the grammar of a spec. Equal specs that are compiled at the same
// time are compiled once. An error that is not ctx's says what is wrong with
// the spec.
func (c *Compiler) Compile(ctx context.Context, spec Spec) (Compiled, error) {
	e, fresh := c.entry(spec)
	if fresh {
		go c.fill(e)
	}
	select {
	case <-e.ready:
		return e.grammar, e.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// entry finds or makes the spec's entry; the one that makes it fills it.
func (c *Compiler) entry(spec Spec) (e *entry, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.known[spec]; ok {
		c.order.MoveToFront(at)
		return at.Value.(*entry), false
	}
	e = &entry{spec: spec, ready: make(chan struct{})}
	c.known[spec] = c.order.PushFront(e)
	if c.order.Len() > remembered {
		oldest := c.order.Back()
		c.order.Remove(oldest)
		delete(c.known, oldest.Value.(*entry).spec) // matchers of it live on; its memory goes with them
	}
	return e, true
}

func (c *Compiler) fill(e *entry) {
	c.slots <- struct{}{}
	defer func() { <-c.slots }()
	defer close(e.ready)
	kind, source, err := e.spec.source()
	if err == nil {
		e.grammar, err = c.compile(kind, source)
	}
	switch {
	case errors.Is(err, native.ErrClosed):
		err = fmt.Errorf("the model is being closed: %w", err)
	case err != nil:
		err = readable{err}
	}
	e.err = err
}

func (c *Compiler) compile(kind native.GrammarKind, source string) (*native.Grammar, error) {
	g, err := c.trie.Compile(kind, source)
	if err == nil {
		err = begins(g)
	}
	return g, err
}

// begins takes a matcher's first step: it finds a grammar that forces a text
// without an end.
func begins(g *native.Grammar) error {
	m, err := g.Matcher()
	if err != nil {
		return err
	}
	defer m.Close()
	ids, err := m.Forced()
	if err == nil {
		_, err = m.Accept(ids[:min(len(ids), 1)])
	}
	return err
}

// readable is an error of a length that a client can read: some repeat the
// request.
type readable struct{ error }

func (r readable) Unwrap() error { return r.error }

func (r readable) Error() string {
	const most = 600
	text := r.error.Error()
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most/2], "") + " … " + strings.ToValidUTF8(text[len(text)-most/2:], "")
}

// Close frees the trie; grammars and matchers go when nobody holds them.
func (c *Compiler) Close() { c.trie.Close() }
