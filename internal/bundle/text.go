package bundle

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/reasond/reasond/internal/prompt"
	"github.com/reasond/reasond/internal/tokenizer"
	"github.com/reasond/reasond/internal/weights"
)

const (
	tokenizerFile       = "tokenizer.json"
	tokenizerConfigFile = "tokenizer_config.json"
	templateKey         = "tokenizer.chat_template" // in a GGUF file's metadata
)

// textSide is what turns a chat into ids and ids into text.
type textSide struct {
	tokenizer *tokenizer.Tokenizer
	renderer  *prompt.Renderer
}

// close frees both; a nil textSide has nothing.
func (t *textSide) close() {
	if t == nil {
		return
	}
	t.renderer.Close()
	t.tokenizer.Close()
}

// openText reads the text side of a model; template, if not empty, replaces the
// model's own.
func openText(template string, src *weights.Model) (*textSide, error) {
	tok, tokens, err := openTokenizer(src)
	if err != nil {
		return nil, err
	}
	renderer, err := openRenderer(template, src, tok, tokens)
	if err != nil {
		tok.Close()
		return nil, err
	}
	return &textSide{tok, renderer}, nil
}

// openTokenizer makes the tokenizer that a model brings, and the special tokens
// that its template knows as variables.
func openTokenizer(src *weights.Model) (*tokenizer.Tokenizer, map[string]string, error) {
	if src.Meta != nil {
		tok, err := tokenizer.FromGGUF(src.Meta)
		if err != nil {
			return nil, nil, err
		}
		c := tok.Config()
		return tok, map[string]string{"bos_token": c.BOS, "eos_token": c.EOS, "unk_token": c.UNK, "pad_token": c.PAD}, nil
	}
	data, err := fs.ReadFile(src.FS, tokenizerFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("there is no %s (a model folder needs one beside its weights)", tokenizerFile)
	}
	if err != nil {
		return nil, nil, err
	}
	var cfg tokenizer.Config
	var tokens map[string]string
	switch config, err := fs.ReadFile(src.FS, tokenizerConfigFile); {
	case err == nil:
		if cfg, err = tokenizer.ParseConfig(config); err != nil {
			return nil, nil, err
		}
		if tokens, err = prompt.ParseTokens(config); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", tokenizerConfigFile, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	}
	tok, err := tokenizer.New(data, cfg)
	return tok, tokens, err
}

// openRenderer compiles the chat template: override, or what the model brings.
func openRenderer(override string, src *weights.Model, tok *tokenizer.Tokenizer, tokens map[string]string) (*prompt.Renderer, error) {
	templates, err := findTemplates(override, src)
	if err != nil {
		return nil, err
	}
	return prompt.NewRenderer(prompt.Config{
		Templates: templates, Tokens: tokens,
		Control: prompt.ControlTokens(added(tok), templates),
	})
}

func added(tok *tokenizer.Tokenizer) []prompt.Token {
	var tokens []prompt.Token
	for _, t := range tok.Vocab().Added() {
		tokens = append(tokens, prompt.Token{Content: t.Content, Special: t.Special})
	}
	return tokens
}

func findTemplates(override string, src *weights.Model) (prompt.Templates, error) {
	switch {
	case override != "":
		return prompt.Templates{Default: override}, nil
	case src.Meta != nil:
		source, _ := src.Meta.String(templateKey)
		return prompt.Templates{Default: source}, nil
	}
	return prompt.ReadTemplates(src.FS)
}
