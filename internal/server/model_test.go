package server

import (
	"sync"
	"testing"
	"time"

	"github.com/reasond/reasond/api/reasoning"
	_ "github.com/reasond/reasond/api/reasoning/builtin"
	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/prompt"
	"github.com/reasond/reasond/internal/tokenizer"
	tinyreasoner "github.com/reasond/reasond/testdata/tiny-reasoner"
)

// tiny is the embedded model without its weights.
type tiny struct {
	tokenizer *tokenizer.Tokenizer
	renderer  *prompt.Renderer
}

// openTiny opens it once.
var openTiny = sync.OnceValues(func() (*tiny, error) {
	config, err := tinyreasoner.FS.ReadFile("tokenizer_config.json")
	if err != nil {
		return nil, err
	}
	cfg, err := tokenizer.ParseConfig(config)
	if err != nil {
		return nil, err
	}
	data, err := tinyreasoner.FS.ReadFile("tokenizer.json")
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.New(data, cfg)
	if err != nil {
		return nil, err
	}
	templates, err := prompt.ReadTemplates(tinyreasoner.FS)
	if err != nil {
		return nil, err
	}
	special, err := prompt.ParseTokens(config)
	if err != nil {
		return nil, err
	}
	var added []prompt.Token
	for _, a := range cfg.Added {
		added = append(added, prompt.Token{Content: a.Content, Special: a.Special})
	}
	r, err := prompt.NewRenderer(prompt.Config{Templates: templates, Tokens: special, Control: prompt.ControlTokens(added, templates)})
	return &tiny{tok, r}, err
})

// tinyModel is the embedded model with another engine.
func tinyModel(t testing.TB, engine pipeline.Engine) *pipeline.Model {
	t.Helper()
	m, err := openTiny()
	if err != nil {
		t.Fatal(err)
	}
	parser, err := reasoning.Lookup("qwen3")
	if err != nil {
		t.Fatal(err)
	}
	return &pipeline.Model{
		Name: "tiny-reasoner", Aliases: []string{"tiny"}, Created: time.Unix(1_700_000_000, 0),
		Engine: engine, Tokenizer: m.tokenizer, Renderer: m.renderer, Parser: &parser,
		Defaults: llm.DefaultSampling(), MaxContext: 4096, EOS: []int32{1273},
	}
}

// tokens scripts a text as the model's own tokens, one a step.
func tokens(t testing.TB, text string) []scripted.Step {
	t.Helper()
	m, err := openTiny()
	if err != nil {
		t.Fatal(err)
	}
	ids, err := m.tokenizer.Encode(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return scripted.IDs(ids)(nil, 0)
}

func models(m ...*pipeline.Model) []*pipeline.Model { return m }
