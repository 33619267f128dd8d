package tokenizer

import (
	"fmt"
	"slices"

	"github.com/reasond/reasond/internal/native"
)

// New makes a tokenizer from a tokenizer.json. It fails where the byte table
// and the native library read the vocabulary differently.
func New(tokenizerJSON []byte, cfg Config) (*Tokenizer, error) {
	data, err := withAdded(tokenizerJSON, cfg)
	if err != nil {
		return nil, err
	}
	return open(data, cfg, func() (*Vocab, error) { return NewVocab(data) })
}

// open makes the tokenizer of a tokenizer.json and of the table of its
// vocabulary.
func open(data []byte, cfg Config, table func() (*Vocab, error)) (*Tokenizer, error) {
	vocab, err := table()
	if err != nil {
		return nil, err
	}
	lib, err := native.NewTokenizer(data)
	if err != nil {
		return nil, err
	}
	t, err := newTokenizer(lib, vocab, cfg)
	if err == nil {
		err = vocab.check(lib)
	}
	if err != nil {
		lib.Close()
		return nil, err
	}
	return t, nil
}

// Trim gives back memory that loading a vocabulary has left in the native
// library.
func Trim() { native.Trim() }

// library is what the native tokenizer must do. Its errors are for the log.
type library interface {
	// EncodeSpans finds no added tokens in the plain spans, which increase and
	// are disjoint; addSpecial applies tokenizer.json's post-processor.
	EncodeSpans(text string, addSpecial bool, plain []Span) ([]int32, error)
	Decode(ids []int32, skipSpecial bool) (string, error)
	Close() error
}

// Span is a range of bytes of a prompt: client text that spells control
// tokens and must not become them.
type Span = native.Span

// check compares the table with what the library decodes: all of the model's
// own tokens at once, then single bytes and added tokens one by one. For
// 150,000 tokens it takes about 50 ms.
func (v *Vocab) check(lib library) error {
	var ids []int32
	for id := range int32(v.Size()) {
		switch {
		case !v.is(id, exists) || v.is(id, added):
		case !v.is(id, fallback):
			ids = append(ids, id)
		case v.is(id, text): // the library counts U+FFFDs of other bytes its own way
			if err := v.checkText(lib, []int32{id}); err != nil {
				return err
			}
		}
	}
	if err := v.checkText(lib, ids); err != nil {
		return err
	}
	for _, a := range v.added {
		// The library runs its decoder over added tokens too: what that changes
		// in their text is not the table's mistake.
		if v.rule.changes(a.Content) {
			continue
		}
		if err := v.checkText(lib, []int32{a.ID}); err != nil {
			return err
		}
	}
	return nil
}

func (v *Vocab) checkText(lib library, ids []int32) error {
	want, err := lib.Decode(ids, false)
	if err != nil {
		return fmt.Errorf("decode the vocabulary: %w", err)
	}
	got := v.Decode(ids, false)
	if got == want {
		return nil
	}
	if len(ids) > 1 { // find the token at fault, for the message
		half := len(ids) / 2
		for _, part := range [][]int32{ids[:half], ids[half:]} {
			if err := v.checkText(lib, slices.Clone(part)); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("token %d: the table says %.80q, the library decodes %.80q", ids[0], got, want)
}
