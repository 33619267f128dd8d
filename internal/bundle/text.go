package bundle

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/prompt"
	"github.com/reasond/reasond/internal/tokenizer"
	"github.com/reasond/reasond/internal/toolcall"
	"github.com/reasond/reasond/internal/weights"
)

const (
	tokenizerFile       = "tokenizer.json"
	tokenizerConfigFile = "tokenizer_config.json"
	templateKey         = "tokenizer.chat_template" // in a GGUF file's metadata
)

// textSide is what turns a chat into ids, ids into text, and text into reasoning
// and content.
type textSide struct {
	tokenizer *tokenizer.Tokenizer // nil, and so renderer: others make the prompts
	renderer  *prompt.Renderer
	templates prompt.Templates
	parser    *reasoning.Descriptor // nil: everything is content
	noParser  error                 // why the model shows no parser
	tools     *toolcall.Descriptor  // how content writes calls; nil: it has none
}

// close frees what is there.
func (t *textSide) close() {
	if t.tokenizer == nil {
		return
	}
	t.renderer.Close()
	t.tokenizer.Close()
}

// openText is a text side that is being opened beside the weights: it takes about
// as long as those of a small model.
type openText struct {
	done chan struct{} // closed when side and err are there
	side *textSide
	err  error
}

// openingText begins to open the text side that cfg asks for.
func openingText(cfg Config, src *weights.Model) *openText {
	o := &openText{done: make(chan struct{})}
	go func() {
		defer close(o.done)
		if o.side, o.err = openSide(cfg.ChatTemplate, cfg.Parser, src); o.err != nil {
			return
		}
		if o.err = o.side.chooseTools(cfg.ToolParser); o.err == nil {
			o.err = cfg.drafting.fits(o.side.tokenizer.Vocab())
		}
		if o.err != nil {
			o.side.close()
		}
	}()
	return o
}

// wait returns the text side when it is open.
func (o *openText) wait() (*textSide, error) {
	<-o.done
	return o.side, o.err
}

// failed is why there will be none, as far as that is known.
func (o *openText) failed() error {
	select {
	case <-o.done:
		return o.err
	default:
		return nil
	}
}

// openSide reads the text side of a model; template, if not empty, replaces the
// model's own, and parser is as in Config.
func openSide(template, parser string, src *weights.Model) (*textSide, error) {
	tok, tokens, err := openTokenizer(src)
	if err != nil {
		return nil, err
	}
	templates, err := findTemplates(template, src)
	if err != nil {
		tok.Close()
		return nil, err
	}
	renderer, err := openRenderer(templates, tok, tokens)
	if err != nil {
		tok.Close()
		return nil, err
	}
	t := &textSide{tokenizer: tok, renderer: renderer, templates: templates}
	if err := t.chooseParser(parser, src); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
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

// openRenderer compiles the chat templates.
func openRenderer(templates prompt.Templates, tok *tokenizer.Tokenizer, tokens map[string]string) (*prompt.Renderer, error) {
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
