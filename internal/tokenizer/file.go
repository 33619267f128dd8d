package tokenizer

import (
	"encoding/json"
	"fmt"
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
	var ids map[string]int32
	if err := json.Unmarshal(f.Model.Vocab, &ids); err != nil {
		return fmt.Errorf("the vocabulary: %w", err)
	}
	for token, id := range ids {
		if err := yield(token, id); err != nil {
			return err
		}
	}
	return nil
}
