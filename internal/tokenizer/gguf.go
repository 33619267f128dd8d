package tokenizer

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// Meta is the metadata of a GGUF file; *gguf.File is one.
type Meta interface {
	String(key string) (string, bool)
	Strings(key string) ([]string, bool)
	Floats(key string) ([]float64, bool)
	Ints(key string) ([]int64, bool)
	Int(key string) (int64, bool)
	Bool(key string) (bool, bool)
}

// FromGGUF makes a tokenizer from a GGUF file's metadata.
func FromGGUF(meta Meta) (*Tokenizer, error) {
	out, cfg, err := convertGGUF(meta)
	if err != nil {
		return nil, err
	}
	data, err := out.encode()
	if err != nil {
		return nil, err
	}
	return open(data, cfg, out.table)
}

// ConvertGGUF writes the vocabulary of a GGUF file as a tokenizer.json.
// Byte-level BPE (tokenizer.ggml.model "gpt2") is split by what
// tokenizer.ggml.pre names; SentencePiece ("llama") becomes the BPE of its
// scores. The keys are described in ggml's docs/gguf.md.
func ConvertGGUF(meta Meta) (tokenizerJSON []byte, cfg Config, err error) {
	out, cfg, err := convertGGUF(meta)
	if err != nil {
		return nil, Config{}, err
	}
	tokenizerJSON, err = out.encode()
	return tokenizerJSON, cfg, err
}

func convertGGUF(meta Meta) (out document, cfg Config, err error) {
	g, err := readGGUF(meta)
	if err != nil {
		return document{}, Config{}, fmt.Errorf("gguf tokenizer: %w", err)
	}
	switch model, _ := meta.String(ggml + "model"); model {
	case "gpt2":
		out, err = g.byteLevel()
	case "llama":
		out, err = g.sentencePiece()
	case "":
		err = fmt.Errorf("the file has no %smodel", ggml)
	default:
		err = fmt.Errorf("vocabulary %q is not supported (gpt2 and llama are)", model)
	}
	if err != nil {
		return document{}, Config{}, fmt.Errorf("gguf tokenizer: %w", err)
	}
	out.Version, out.Added = "1.0", g.added()
	return out, g.cfg, nil
}

const ggml = "tokenizer.ggml."

// The values of tokenizer.ggml.token_type.
const (
	typeNormal = 1 + iota
	typeUnknown
	typeControl
	typeUserDefined
	typeUnused
	typeByte
)

// ggufVocab is what the metadata says, checked.
type ggufVocab struct {
	pre         string
	tokens      []string
	types       []int64 // as long as tokens
	scores      []float64
	merges      []string
	prefixSpace bool
	prefixGiven bool
	unknown     int64 // -1: none
	cfg         Config
}

func readGGUF(meta Meta) (*ggufVocab, error) {
	g := &ggufVocab{unknown: -1}
	g.pre, _ = meta.String(ggml + "pre")
	g.tokens, _ = meta.Strings(ggml + "tokens")
	g.types, _ = meta.Ints(ggml + "token_type")
	g.scores, _ = meta.Floats(ggml + "scores")
	g.merges, _ = meta.Strings(ggml + "merges")
	g.prefixSpace, g.prefixGiven = meta.Bool(ggml + "add_space_prefix")
	n := len(g.tokens)
	switch {
	case n == 0:
		return nil, fmt.Errorf("the file has no %stokens", ggml)
	case n > maxID:
		return nil, fmt.Errorf("%d tokens, at most %d are read", n, maxID)
	case g.types != nil && len(g.types) != n:
		return nil, fmt.Errorf("%d tokens have %d types", n, len(g.types))
	case g.scores != nil && len(g.scores) != n:
		return nil, fmt.Errorf("%d tokens have %d scores", n, len(g.scores))
	}
	for id, token := range g.tokens {
		if token == "" || !utf8.ValidString(token) {
			return nil, fmt.Errorf("token %d is %.80q, not a text", id, token)
		}
	}
	if g.types == nil {
		g.types = slices.Repeat([]int64{typeNormal}, n)
	}
	return g, g.special(meta)
}

// special reads what single tokens are for.
func (g *ggufVocab) special(meta Meta) error {
	id := func(name string) (int64, error) {
		id, ok := meta.Int(ggml + name)
		if !ok || id == -1 || id == 1<<32-1 { // writers mean none by these, too
			return -1, nil
		}
		if id < 0 || id >= int64(len(g.tokens)) {
			return 0, fmt.Errorf("%s%s is %d, not one of %d tokens", ggml, name, id, len(g.tokens))
		}
		return id, nil
	}
	for _, s := range []struct {
		key   string
		token *string
		ends  bool
	}{
		{"bos_token_id", &g.cfg.BOS, false},
		{"eos_token_id", &g.cfg.EOS, true},
		{"eot_token_id", nil, true}, // end of turn
		{"eom_token_id", nil, true}, // end of message, before a tool's answer
		{"unknown_token_id", &g.cfg.UNK, false},
		{"padding_token_id", &g.cfg.PAD, false},
	} {
		i, err := id(s.key)
		if err != nil {
			return err
		}
		if i < 0 {
			continue
		}
		if s.token != nil {
			*s.token = g.tokens[i]
		}
		if s.ends {
			g.cfg.EndIDs = append(g.cfg.EndIDs, int32(i))
		}
		if s.key == "unknown_token_id" {
			g.unknown = i
		}
	}
	g.endings()
	g.cfg.AddBOS, g.cfg.AddEOS = flagOf(meta, "add_bos_token"), flagOf(meta, "add_eos_token")
	return nil
}

func flagOf(meta Meta, name string) *bool {
	if v, ok := meta.Bool(ggml + name); ok {
		return &v
	}
	return nil
}

// endings finds ends of turns that older files do not name, by how the models
// that have them spell them; only control tokens count.
func (g *ggufVocab) endings() {
	known := []string{"<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|end_of_text|>", "<｜end▁of▁sentence｜>"}
	for id, token := range g.tokens {
		if g.types[id] == typeControl && slices.Contains(known, token) {
			g.cfg.EndIDs = append(g.cfg.EndIDs, int32(id))
		}
	}
	slices.Sort(g.cfg.EndIDs)
	g.cfg.EndIDs = slices.Compact(g.cfg.EndIDs)
}

// added lists the tokens that are found in text before the model runs: control
// tokens, the unknown token, and what users defined.
func (g *ggufVocab) added() []AddedToken {
	list := []AddedToken{}
	for id, token := range g.tokens {
		switch g.types[id] {
		case typeControl, typeUnknown:
			list = append(list, AddedToken{ID: int32(id), Content: token, Special: true})
		case typeUserDefined:
			list = append(list, AddedToken{ID: int32(id), Content: token})
		}
	}
	return list
}

// vocab maps the tokens to their ids; of equal ones the first counts.
func (g *ggufVocab) vocab() map[string]int {
	ids := make(map[string]int, len(g.tokens))
	for id, token := range g.tokens {
		if _, dup := ids[token]; !dup {
			ids[token] = id
		}
	}
	return ids
}
