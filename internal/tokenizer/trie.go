package tokenizer

import (
	"errors"

	"github.com/reasond/reasond/internal/native"
)

// Trie is the vocabulary as grammars see it; eos are the ids that end a text.
// The tokenizer must not be closed before it.
func (t *Tokenizer) Trie(eos []int32) (*native.Trie, error) {
	lib, ok := t.lib.(*native.Tokenizer)
	if !ok {
		return nil, errors.New("this tokenizer has no native half")
	}
	return native.NewTrie(native.TrieConfig{
		Count: t.vocab.Size(), Bytes: t.vocab.Bytes, IsControl: t.vocab.IsControl, EOS: eos, Tokenizer: lib,
	})
}
