package native

// #include "native.h"
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// A Trie is a vocabulary as grammars see it. It is safe for concurrent use.
type Trie struct {
	h         *handle
	tokenizer *Tokenizer // lives as long
	cleanup   runtime.Cleanup
}

// TrieConfig is a vocabulary: token i's bytes, and whether it is a control token,
// which text never spells.
type TrieConfig struct {
	Count     int
	Bytes     func(id int32) []byte
	IsControl func(id int32) bool
	EOS       []int32    // ids that end a text; at least one
	Tokenizer *Tokenizer // makes forced text into tokens; must not be closed before the trie
}

// NewTrie makes the trie of a vocabulary.
func NewTrie(c TrieConfig) (*Trie, error) {
	var data []byte
	ends, control := make([]uint32, c.Count), make([]byte, c.Count)
	for id := range int32(c.Count) {
		data = append(data, c.Bytes(id)...)
		ends[id] = uint32(len(data))
		if c.IsControl(id) {
			control[id] = 1
		}
	}
	if c.Count == 0 || len(c.EOS) == 0 {
		return nil, errors.New("a vocabulary for grammars needs tokens, one of which ends a text")
	}
	t := &Trie{tokenizer: c.Tokenizer}
	err := c.Tokenizer.h.use(func(tokenizer unsafe.Pointer) error {
		var (
			out     C.native_buffer
			pointer unsafe.Pointer
		)
		_, err := result(C.native_trie_new((*C.uint8_t)(unsafe.SliceData(data)), (*C.uint32_t)(&ends[0]), (*C.uint8_t)(&control[0]),
			C.size_t(c.Count), (*C.uint32_t)(unsafe.Pointer(&c.EOS[0])), C.size_t(len(c.EOS)), tokenizer, &pointer, &out), &out)
		if err == nil {
			t.h = newHandle(pointer, func(p unsafe.Pointer) { C.native_trie_free(p) })
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("grammar: %w", err)
	}
	t.cleanup = runtime.AddCleanup(t, (*handle).close, t.h)
	return t, nil
}

// Close frees the trie. Grammars made with it stay valid.
func (t *Trie) Close() {
	t.cleanup.Stop()
	t.h.close()
}

// GrammarKind says how a grammar's source is written.
type GrammarKind uint8

const (
	JSONSchema GrammarKind = iota // a JSON schema
	Regex                         // a regular expression, matched as a whole
	Lark                          // llguidance's dialect of Lark
)

// A Grammar is compiled for a trie. It is safe for concurrent use.
type Grammar struct {
	trie    *Trie
	h       *handle
	cleanup runtime.Cleanup
}

// most bytes of a grammar's source
const mostGrammar = 1 << 20

// Compile compiles a grammar within a second and 64 MiB; more is a *LimitError.
func (t *Trie) Compile(kind GrammarKind, source string) (*Grammar, error) {
	if err := fits("grammar", len(source), mostGrammar); err != nil {
		return nil, &LimitError{err.Error()}
	}
	g := &Grammar{trie: t}
	err := t.live(func(trie unsafe.Pointer) error {
		var (
			out     C.native_buffer
			pointer unsafe.Pointer
		)
		_, err := result(C.native_grammar_new(trie, C.uint8_t(kind), (*C.uint8_t)(unsafe.StringData(source)), C.size_t(len(source)), &pointer, &out), &out)
		if err == nil {
			g.h = newHandle(pointer, freeMatcher)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	g.cleanup = runtime.AddCleanup(g, (*handle).close, g.h)
	return g, nil
}

func freeMatcher(p unsafe.Pointer) { C.native_matcher_free(p) }

// live calls f while the trie and its tokenizer are open.
func (t *Trie) live(f func(trie unsafe.Pointer) error) error {
	return t.tokenizer.h.use(func(unsafe.Pointer) error { return t.h.use(f) })
}

// Close frees the grammar. Matchers made from it stay valid.
func (g *Grammar) Close() {
	g.cleanup.Stop()
	g.h.close()
}

// A Matcher follows one text through a grammar. It is not safe for concurrent use.
type Matcher struct {
	trie    *Trie
	h       *handle
	cleanup runtime.Cleanup
	known   bool    // what is forced
	forced  []int32 // tokens that must come next
}

// Matcher is a new matcher at the grammar's beginning.
func (g *Grammar) Matcher() (*Matcher, error) {
	m := &Matcher{trie: g.trie}
	err := g.h.use(func(p unsafe.Pointer) error {
		var (
			out     C.native_buffer
			pointer unsafe.Pointer
		)
		_, err := result(C.native_matcher_new(p, &pointer, &out), &out)
		if err == nil {
			m.h = newHandle(pointer, freeMatcher)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	m.cleanup = runtime.AddCleanup(m, (*handle).close, m.h)
	return m, nil
}

// Close frees the matcher.
func (m *Matcher) Close() {
	m.cleanup.Stop()
	m.h.close()
}

func (m *Matcher) call(f func(p unsafe.Pointer, out *C.native_buffer) C.int32_t) (data []byte, err error) {
	err = m.trie.tokenizer.h.use(func(unsafe.Pointer) error {
		return m.h.use(func(p unsafe.Pointer) error {
			var out C.native_buffer
			data, err = result(f(p, &out), &out)
			return err
		})
	})
	return data, err
}

// Mask writes the tokens that may come next, bit i of word i/32 for id i: those
// that end a text where nothing else may come.
func (m *Matcher) Mask(dst []uint32) error {
	_, err := m.call(func(p unsafe.Pointer, out *C.native_buffer) C.int32_t {
		return C.native_matcher_mask(p, (*C.uint32_t)(unsafe.SliceData(dst)), C.size_t(len(dst)), out)
	})
	return err
}

// Accepted says where a text stands.
type Accepted struct {
	Taken     int  // tokens that fitted
	Stopped   bool // nothing may follow
	Accepting bool // the text may end here
}

// Accept takes tokens for as long as they fit.
func (m *Matcher) Accept(ids []int32) (Accepted, error) {
	var state [3]C.uint32_t
	m.known = false
	data, err := m.call(func(p unsafe.Pointer, out *C.native_buffer) C.int32_t {
		return C.native_matcher_accept(p, (*C.uint32_t)(unsafe.Pointer(unsafe.SliceData(ids))), C.size_t(len(ids)), &state[0], out)
	})
	if err != nil {
		return Accepted{}, err
	}
	m.known, m.forced = true, nil
	for ; len(data) > 0; data = data[4:] {
		m.forced = append(m.forced, int32(binary.NativeEndian.Uint32(data)))
	}
	return Accepted{Taken: int(state[0]), Stopped: state[1] != 0, Accepting: state[2] != 0}, nil
}

// Take is Accept in the words of package guide.
func (m *Matcher) Take(ids []int32) (taken int, stopped, accepting bool, err error) {
	a, err := m.Accept(ids)
	return a.Taken, a.Stopped, a.Accepting, err
}

// Forced is the tokens that must come next; none where there is a choice. They are
// the caller's.
func (m *Matcher) Forced() ([]int32, error) {
	if !m.known {
		if _, err := m.Accept(nil); err != nil {
			return nil, err
		}
	}
	return m.forced, nil
}
