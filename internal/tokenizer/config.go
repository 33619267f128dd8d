package tokenizer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Config is what is known of a tokenizer beside its tokenizer.json.
type Config struct {
	BOS, EOS, UNK, PAD string // token strings, "" for none; templates use them
	// AddBOS and AddEOS say what EncodeRaw puts around a text; nil leaves it to
	// tokenizer.json's post-processor.
	AddBOS, AddEOS *bool
	// Added are tokens that tokenizer.json may lack; there they win.
	Added []AddedToken
	// EndIDs are further ids that end an answer, as a GGUF file names them.
	EndIDs []int32
}

// ParseConfig reads a tokenizer_config.json.
func ParseConfig(data []byte) (Config, error) {
	var raw struct {
		BOS    tokenString          `json:"bos_token"`
		EOS    tokenString          `json:"eos_token"`
		UNK    tokenString          `json:"unk_token"`
		PAD    tokenString          `json:"pad_token"`
		AddBOS *bool                `json:"add_bos_token"`
		AddEOS *bool                `json:"add_eos_token"`
		Added  map[int32]AddedToken `json:"added_tokens_decoder"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return Config{}, fmt.Errorf("tokenizer_config.json: %w", err)
	}
	cfg := Config{
		BOS: string(raw.BOS), EOS: string(raw.EOS), UNK: string(raw.UNK), PAD: string(raw.PAD),
		AddBOS: raw.AddBOS, AddEOS: raw.AddEOS,
	}
	for _, id := range slices.Sorted(maps.Keys(raw.Added)) {
		a := raw.Added[id]
		a.ID = id
		cfg.Added = append(cfg.Added, a)
	}
	return cfg, nil
}

// tokenString is a token given as a string, as an AddedToken object, or as null.
type tokenString string

func (t *tokenString) UnmarshalJSON(data []byte) error {
	var object struct {
		Content string `json:"content"`
	}
	if len(data) > 0 && data[0] == '{' {
		err := json.Unmarshal(data, &object)
		*t = tokenString(object.Content)
		return err
	}
	return json.Unmarshal(data, (*string)(t))
}

// withAdded is tokenizer.json with the added tokens of cfg that it lacks; the
// same bytes where it lacks none.
func withAdded(tokenizerJSON []byte, cfg Config) ([]byte, error) {
	if len(cfg.Added) == 0 {
		return tokenizerJSON, nil
	}
	var f file
	if err := json.Unmarshal(tokenizerJSON, &f); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	known := map[string]bool{}
	for _, a := range f.Added {
		known[a.Content] = true
	}
	added := f.Added
	for _, a := range cfg.Added {
		if !known[a.Content] {
			added = append(added, a)
		}
	}
	if len(added) == len(f.Added) {
		return tokenizerJSON, nil
	}
	slices.SortFunc(added, func(a, b AddedToken) int { return cmp.Compare(a.ID, b.ID) })
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(tokenizerJSON, &whole); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	var err error
	if whole["added_tokens"], err = json.Marshal(added); err != nil {
		return nil, err
	}
	return json.Marshal(whole)
}
