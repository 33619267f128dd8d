package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Vocab is the table of each token's bytes. It is immutable and safe for
// concurrent use.
type Vocab struct {
	rule  rule
	bytes joined // what each token stands for
	names joined // token strings as the file has them
	flags []flag
	ids   index // by names
	added []AddedToken

	longest int // bytes of the longest token
}

type flag uint8

const (
	exists   flag = 1 << iota
	control       // a special token: never a part of the answer
	text          // its bytes are whole, valid UTF-8
	added         // looked for in the text before the model's own tokens
	fallback      // <0xNN>
)

// NewVocab builds the table from a tokenizer.json. Added tokens are verbatim;
// the model's own are read by the rule of the file's decoder.
func NewVocab(tokenizerJSON []byte) (*Vocab, error) {
	var f file
	if err := json.Unmarshal(tokenizerJSON, &f); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	v, err := newVocab(f.Decoder, f.Added, f.tokens)
	if err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	return v, nil
}

// newVocab builds the table of a decoder section, of added tokens and of the
// model's own, which tokens gives one by one; of equal ones the last counts.
func newVocab(decoder json.RawMessage, addedTokens []AddedToken, tokens func(set func(token string, id int32) error) error) (*Vocab, error) {
	r, err := parseRule(decoder)
	if err != nil {
		return nil, err
	}
	v := &Vocab{rule: r, ids: newIndex(), added: addedTokens}
	var names []string
	name := func(id int32) string { return names[id] }
	set := func(token string, id int32, slot int) error {
		if id < 0 || id >= maxID {
			return fmt.Errorf("token %.80q has id %d, not 0 to %d", token, id, maxID-1)
		}
		for int(id) >= len(names) {
			names, v.flags = append(names, ""), append(v.flags, 0)
		}
		if v.flags[id]&exists != 0 && names[id] != token {
			return fmt.Errorf("id %d has two tokens, %.80q and %.80q", id, names[id], token)
		}
		names[id] = token
		v.flags[id] |= exists
		v.ids.put(slot, id, name)
		return nil
	}
	own := func(token string, id int32) error {
		slot := v.ids.slot(token, name)
		if old := v.ids.id(slot); old >= 0 && old != id {
			names[old], v.flags[old] = "", 0
		}
		return set(token, id, slot)
	}
	if err := tokens(own); err != nil {
		return nil, err
	}
	for _, a := range addedTokens {
		if err := set(a.Content, a.ID, v.ids.slot(a.Content, name)); err != nil {
			return nil, err
		}
		v.flags[a.ID] |= added
		if a.Special {
			v.flags[a.ID] |= control
		}
	}
	v.fill(names)
	return v, nil
}

// fill writes the names and the bytes of every token.
func (v *Vocab) fill(names []string) {
	all := 0
	for _, name := range names {
		all += len(name)
	}
	v.names = newJoined(len(names), all)
	v.bytes = newJoined(len(names), all) // a rule may make more of them, rarely
	for id, name := range names {
		v.names.add(append(v.names.data, name...))
		from := len(v.bytes.data)
		if v.flags[id]&added != 0 {
			v.bytes.add(append(v.bytes.data, name...))
		} else {
			v.bytes.add(v.rule.append(v.bytes.data, name))
			if _, ok := fallbackByte(name); ok && v.rule.byteFallback {
				v.flags[id] |= fallback
			}
		}
		token := v.bytes.data[from:]
		v.longest = max(v.longest, len(token))
		if utf8.Valid(token) {
			v.flags[id] |= text
		}
	}
	v.flags, v.bytes.data = slices.Clone(v.flags), slices.Clone(v.bytes.data)
}

// Size is one more than the largest id. A model's own vocabulary may be larger
// (padding) and may have ids in it that are no token.
func (v *Vocab) Size() int { return len(v.flags) }

// Bytes are the bytes that a token stands for, nil for an id that is no token.
// They are the table's: do not change them.
func (v *Vocab) Bytes(id int32) []byte {
	if uint32(id) >= uint32(len(v.flags)) {
		return nil
	}
	return v.bytes.at(id)
}

// text is Bytes as a string.
func (v *Vocab) text(id int32) string {
	if uint32(id) >= uint32(len(v.flags)) {
		return ""
	}
	return v.bytes.text(id)
}

// Longest is the length of the longest token in bytes.
func (v *Vocab) Longest() int { return v.longest }

// Has says whether an id is a token.
func (v *Vocab) Has(id int32) bool { return v.is(id, exists) }

// IsControl says whether an id is a control token (special in tokenizer.json):
// a role, the end of a turn, padding. Tags such as <think> usually are not.
func (v *Vocab) IsControl(id int32) bool { return v.is(id, control) }

func (v *Vocab) isText(id int32) bool { return v.is(id, text) }

func (v *Vocab) is(id int32, f flag) bool {
	return uint32(id) < uint32(len(v.flags)) && v.flags[id]&f != 0
}

// ID is the id of a token by its string as the file has it: byte-level
// alphabet, ▁; added tokens verbatim.
func (v *Vocab) ID(token string) (id int32, ok bool) {
	id = v.ids.id(v.ids.slot(token, v.names.text))
	return max(id, 0), id >= 0
}

// Name is the string of a token as the file has it, "" for an id that is no
// token.
func (v *Vocab) Name(id int32) string {
	if !v.Has(id) {
		return ""
	}
	return v.names.text(id)
}

// Added lists the added tokens. The slice is the table's.
func (v *Vocab) Added() []AddedToken { return v.added }
