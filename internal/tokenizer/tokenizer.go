package tokenizer

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/reasond/reasond/internal/llm"
)

// Tokenizer encodes text. It is immutable and safe for concurrent use.
type Tokenizer struct {
	lib   library
	vocab *Vocab
	cfg   Config
	ends  []int32
}

// newTokenizer binds a library to the vocabulary of the same tokenizer.json.
func newTokenizer(lib library, vocab *Vocab, cfg Config) (*Tokenizer, error) {
	t := &Tokenizer{lib: lib, vocab: vocab, cfg: cfg}
	for _, around := range []struct {
		on    *bool
		token string
	}{{cfg.AddBOS, cfg.BOS}, {cfg.AddEOS, cfg.EOS}} {
		if _, ok := vocab.ID(around.token); around.on != nil && *around.on && !ok {
			return nil, fmt.Errorf("texts want %.80q around them, which is no token", around.token)
		}
	}
	t.ends = slices.Clone(cfg.EndIDs)
	if id, ok := vocab.ID(cfg.EOS); ok && cfg.EOS != "" {
		t.ends = append(t.ends, id)
	}
	slices.Sort(t.ends)
	t.ends = slices.Compact(t.ends)
	return t, nil
}

// Vocab is the table of the tokens' bytes.
func (t *Tokenizer) Vocab() *Vocab { return t.vocab }

// Config is what the tokenizer was made with: token strings for templates.
func (t *Tokenizer) Config() Config { return t.cfg }

// EOS lists the ids that end an answer as far as the tokenizer knows, sorted;
// generation_config.json and config.json may know more.
func (t *Tokenizer) EOS() []int32 { return slices.Clone(t.ends) }

// NewDecoder starts a choice's text; see Decoder.
func (t *Tokenizer) NewDecoder(dropControl bool) *Decoder { return t.vocab.NewDecoder(dropControl) }

// Encode encodes a prompt that says all it wants itself, as chat templates do:
// nothing is put around it. Inside the spans, which increase and are disjoint,
// control and other added tokens are plain text; a prompt without spans is
// encoded as ever. Its errors are of kind Invalid where the text is at fault.
func (t *Tokenizer) Encode(text string, spans []Span) ([]int32, error) {
	return t.encode(text, spans, false)
}

// EncodeRaw encodes a text that is no chat, with what the model wants around
// it, for most models a token for the beginning.
func (t *Tokenizer) EncodeRaw(text string, spans []Span) ([]int32, error) {
	if t.cfg.AddBOS == nil && t.cfg.AddEOS == nil {
		return t.encode(text, spans, true)
	}
	ids, err := t.encode(text, spans, false)
	if err != nil {
		return nil, err
	}
	if id, ok := t.vocab.ID(t.cfg.BOS); ok && t.cfg.AddBOS != nil && *t.cfg.AddBOS {
		ids = slices.Insert(ids, 0, id)
	}
	if id, ok := t.vocab.ID(t.cfg.EOS); ok && t.cfg.AddEOS != nil && *t.cfg.AddEOS {
		ids = append(ids, id)
	}
	return ids, nil
}

func (t *Tokenizer) encode(text string, spans []Span, addSpecial bool) ([]int32, error) {
	if !utf8.ValidString(text) {
		return nil, llm.Errorf(llm.Invalid, "", "the text is not valid UTF-8")
	}
	ids, err := t.lib.EncodeSpans(text, addSpecial, spans)
	if err != nil {
		return nil, fmt.Errorf("encode %d bytes: %w", len(text), err)
	}
	if len(ids) == 0 && text != "" {
		return nil, llm.Errorf(llm.Invalid, "", "the model's tokenizer gives no token for the text")
	}
	return ids, nil
}

// Close frees the native tokenizer, which must be in no call.
func (t *Tokenizer) Close() error { return t.lib.Close() }
