package bundle

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/remote"
	"github.com/reasond/reasond/internal/weights"
)

// Upstream is another server whose models are served under our contract.
type Upstream struct {
	Name   string // the name its model is served under; empty: all its models, under their own names
	URL    string
	Kind   string // one of remote.Kinds
	Model  string // its name of the model; empty: the first one, or all where Name is empty
	APIKey string

	// Text is a model folder or .gguf file whose template and tokenizer make the
	// prompts here; empty: chats are passed on as they are.
	Text           string
	ChatTemplate   string
	TemplateKwargs map[string]json.RawMessage
	Parser         string // reasoning parser; empty: none
	ToolParser     string // how content writes tool calls; empty: as the template shows
	MaxModelLen    int    // 0: what the upstream says
}

// OpenUpstream makes one bundle for each model of an upstream, which must be
// reachable. An error is one line for the user.
func OpenUpstream(ctx context.Context, up Upstream) ([]*Bundle, error) {
	names := []string{up.Model}
	if up.Name == "" && up.Model == "" {
		var err error
		if names, err = upstreamModels(ctx, up); err != nil {
			return nil, fmt.Errorf("upstream %s: %w", up.URL, err)
		}
	}
	var all []*Bundle
	for _, name := range names {
		one := up
		one.Model = name
		b, err := openUpstream(ctx, one)
		if err != nil {
			for _, b := range all {
				err = errors.Join(err, b.Close())
			}
			return nil, fmt.Errorf("upstream %s: %w", up.URL, err)
		}
		all = append(all, b)
	}
	return all, nil
}

func upstreamModels(ctx context.Context, up Upstream) ([]string, error) {
	e, err := remote.New(up.config(nil))
	if err != nil {
		return nil, err
	}
	defer e.Close()
	models, err := e.Models(ctx)
	if err != nil {
		return nil, err
	}
	if len(models) == 0 {
		return nil, errors.New("it serves no model")
	}
	var names []string
	for _, m := range models {
		names = append(names, m.ID)
	}
	return names, nil
}

func (up *Upstream) config(eos []int32) remote.Config {
	c := remote.Config{BaseURL: up.URL, Kind: up.Kind, Model: up.Model, APIKey: up.APIKey, MaxContext: up.MaxModelLen, EOS: eos}
	if up.Text != "" {
		c.Mode = remote.Completions
	}
	return c
}

func openUpstream(ctx context.Context, up Upstream) (*Bundle, error) {
	if err := knownParser(up.Parser); err != nil {
		return nil, err
	}
	text, err := upstreamText(up)
	if err != nil {
		return nil, err
	}
	if err := text.chooseTools(up.ToolParser); err != nil {
		text.close()
		return nil, err
	}
	m := &pipeline.Model{Created: time.Now(), Kwargs: up.TemplateKwargs, Parser: text.parser, Tools: text.tools, Defaults: llm.UnsetSampling()}
	made := text.tokenizer != nil
	if made {
		m.Renderer, m.Tokenizer, m.EOS = text.renderer, text.tokenizer, text.tokenizer.EOS()
	}
	e, err := remote.New(up.config(m.EOS))
	if err == nil {
		err = e.Probe(ctx)
	}
	if err == nil && !made {
		_, err = e.ProbeParsing(ctx)
	}
	if err == nil && made && e.Caps().MaxContext == 0 {
		err = errors.New("it does not say how long a context it takes: give --max-model-len")
	}
	if err != nil {
		text.close()
		return nil, err
	}
	e.Watch(healthInterval)
	m.Engine, m.Name, m.MaxContext = e, cmp.Or(up.Name, e.Model()), e.Caps().MaxContext
	return &Bundle{Model: m, NoParser: text.noParser}, nil
}

// healthInterval is how often an upstream's health is asked for, which /readyz
// passes on.
const healthInterval = 2 * time.Second

// upstreamText is the text side of prompts that are made here; it has only a
// parser where they are not.
func upstreamText(up Upstream) (*textSide, error) {
	if up.Text == "" {
		if up.Parser == AutoParser {
			return nil, errors.New("--reasoning-parser auto needs the model's chat template: name the model's folder, or the parser")
		}
		t := &textSide{}
		return t, t.chooseParser(cmp.Or(up.Parser, NoParser), nil)
	}
	src := &weights.Model{Path: up.Text, FS: os.DirFS(up.Text)}
	if info, err := os.Stat(up.Text); err != nil {
		return nil, err
	} else if !info.IsDir() {
		if src, err = weights.Open(up.Text); err != nil {
			return nil, err
		}
		defer src.Close()
	}
	return openSide(up.ChatTemplate, up.Parser, src)
}
