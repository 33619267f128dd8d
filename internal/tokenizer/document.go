package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// document is a tokenizer.json.
type document struct {
	Version       string       `json:"version"`
	Truncation    *struct{}    `json:"truncation"`
	Padding       *struct{}    `json:"padding"`
	Added         []AddedToken `json:"added_tokens"`
	Normalizer    any          `json:"normalizer"`
	PreTokenizer  any          `json:"pre_tokenizer"`
	PostProcessor *struct{}    `json:"post_processor"`
	Decoder       any          `json:"decoder"`
	Model         bpe          `json:"model"`
}

// bpe is the model section.
type bpe struct {
	Type         string         `json:"type"`
	Unk          *string        `json:"unk_token"`
	FuseUnk      bool           `json:"fuse_unk"`
	ByteFallback bool           `json:"byte_fallback"`
	IgnoreMerges bool           `json:"ignore_merges"`
	Vocab        map[string]int `json:"vocab"`
	Merges       [][2]string    `json:"merges"`
}

// part is a normalizer, pre-tokenizer or decoder of a tokenizer.json.
type part map[string]any

func sequence(of string, parts ...any) part { return part{"type": "Sequence", of: parts} }

// encode is the file's bytes. The vocabulary and the merges are nearly all of
// them: these are appended without reflection.
func (d *document) encode() ([]byte, error) {
	frame := *d
	frame.Model.Vocab, frame.Model.Merges = nil, nil
	data, err := json.Marshal(frame)
	if err != nil {
		return nil, fmt.Errorf("gguf tokenizer: %w", err)
	}
	data, ok := bytes.CutSuffix(data, []byte(`"vocab":null,"merges":null}}`))
	if !ok {
		panic("tokenizer: the model's vocabulary and merges are not a document's last members")
	}
	size := 64 + len(data)
	for token := range d.Model.Vocab {
		size += len(token) + 10
	}
	for _, m := range d.Model.Merges {
		size += len(m[0]) + len(m[1]) + 8
	}
	data = append(append(make([]byte, 0, size), data...), `"vocab":{`...)
	for id, token := range d.Model.names() {
		if token == "" {
			continue
		}
		data = append(appendString(data, token), ':')
		data = append(strconv.AppendInt(data, int64(id), 10), ',')
	}
	data = append(bytes.TrimSuffix(data, []byte(",")), `},"merges":[`...)
	for _, m := range d.Model.Merges {
		data = append(appendString(append(data, '['), m[0]), ',')
		data = append(appendString(data, m[1]), "],"...)
	}
	return append(bytes.TrimSuffix(data, []byte(",")), "]}}"...), nil
}

// names are the vocabulary's tokens by id, "" for an id that is none.
func (m *bpe) names() []string {
	last := -1
	for _, id := range m.Vocab {
		last = max(last, id)
	}
	names := make([]string, last+1)
	for token, id := range m.Vocab {
		names[id] = token
	}
	return names
}

// appendString appends a JSON string.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf && !utf8.ValidString(s[i:]) {
			quoted, _ := json.Marshal(s) // of a string: cannot fail
			return append(dst, quoted...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// table is the vocabulary of the document.
func (d *document) table() (*Vocab, error) {
	decoder, err := json.Marshal(d.Decoder)
	if err != nil {
		return nil, err
	}
	return newVocab(decoder, d.Added, func(set func(string, int32) error) error {
		for id, token := range d.Model.names() {
			if token == "" {
				continue
			}
			if err := set(token, int32(id)); err != nil {
				return err
			}
		}
		return nil
	})
}
