package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxID bounds the ids that a file may name: the largest vocabularies have
// about 260,000, and tables are as long as the largest id.
const maxID = 1 << 22

// file is what this package reads of a tokenizer.json; the rest is the native
// library's.
type file struct {
	Added   []AddedToken    `json:"added_tokens"`
	Decoder json.RawMessage `json:"decoder"`
	Model   struct {
		Type  string          `json:"type"`
		Vocab json.RawMessage `json:"vocab"`
	} `json:"model"`
}

// AddedToken is a token that is looked for in the text before the model's own
// vocabulary is.
type AddedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"` // a control token
}

// tokens lists the model's own vocabulary: each token's string and id.
func (f *file) tokens(yield func(token string, id int32) error) error {
	if f.Model.Type == "Unigram" {
		var rows [][2]json.RawMessage
		if err := json.Unmarshal(f.Model.Vocab, &rows); err != nil {
			return fmt.Errorf("the vocabulary: %w", err)
		}
		for i, row := range rows {
			var token string
			if err := json.Unmarshal(row[0], &token); err != nil {
				return fmt.Errorf("token %d: %w", i, err)
			}
			if err := yield(token, int32(i)); err != nil {
				return err
			}
		}
		return nil
	}
	return eachID(f.Model.Vocab, yield)
}

// eachID gives the members of an object of strings to numbers, in order. raw is
// valid JSON. Large vocabularies have 260,000: a map of them made by reflection
// costs ten times this.
func eachID(raw []byte, yield func(token string, id int32) error) error {
	rest := bytes.TrimLeft(raw, space)
	if len(rest) == 0 || rest[0] != '{' {
		var none map[string]int32 // null, or an error that says what it is
		if err := json.Unmarshal(raw, &none); err != nil {
			return fmt.Errorf("the vocabulary: %w", err)
		}
		return nil
	}
	for rest = rest[1:]; ; {
		rest = bytes.TrimLeft(rest, space+",")
		if rest[0] == '}' {
			return nil
		}
		end := stringEnd(rest)
		token, err := readString(rest[:end])
		if err != nil {
			return fmt.Errorf("the vocabulary: %w", err)
		}
		rest = bytes.TrimLeft(rest[end:], space+":")
		end = bytes.IndexAny(rest, ",}"+space)
		id, err := strconv.ParseInt(string(rest[:end]), 10, 32)
		if err != nil {
			return fmt.Errorf("the vocabulary: the id of %.80q is %.80q", token, rest[:end])
		}
		if err := yield(token, int32(id)); err != nil {
			return err
		}
		rest = rest[end:]
	}
}

// space is JSON's white space.
const space = " \t\r\n"

// stringEnd is the length of the string literal that raw begins with.
func stringEnd(raw []byte) int {
	for i := 1; ; i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// readString reads a string literal.
func readString(raw []byte) (s string, err error) {
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner), nil
	}
	err = json.Unmarshal(raw, &s)
	return s, err
}
