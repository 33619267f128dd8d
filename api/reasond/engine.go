package reasond

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/reasond/reasond/internal/bundle"
	"github.com/reasond/reasond/internal/cli"
)

// Options are how a model is opened; the zero value is the usual way.
type Options struct {
	// ReasoningParser says how reasoning is told from content, such as qwen3;
	// "none": not at all; empty: as reasond serve chooses.
	ReasoningParser string
	ChatTemplate    string         // file with a template instead of the model's own
	TemplateKwargs  map[string]any // template options of chats that give none
	MaxContext      int            // tokens of prompt and answer; 0: the model's
	Threads         int            // 0: the machine's cores
	TensorParallel  int            // GPUs that share each layer; 0: 1
	DataParallel    int            // engines with the whole model each, one a GPU; 0: 1
	Float32         bool           // exact arithmetic of weights that are not quantised: the same answer on every machine
	DownloadDir     string         // instead of Hugging Face's cache folder
}

// Model is an opened model. It is safe for concurrent use: calls that overlap
// are computed together.
type Model struct{ b *bundle.Bundle }

// Open opens a model to be used in this process: a folder of safetensors, a
// .gguf file, a hub id such as Qwen/Qwen3-0.6B, which is downloaded if need be,
// or, where model is empty, the small model that is built in. An error is one
// line.
func Open(model string, opts Options) (*Model, error) {
	kwargs, err := rawKwargs(opts.TemplateKwargs)
	if err != nil {
		return nil, err
	}
	b, err := cli.Open(context.Background(), cli.Opening{
		Model: model, Parser: opts.ReasoningParser, ChatTemplate: opts.ChatTemplate, TemplateKwargs: kwargs,
		MaxContext: opts.MaxContext, Threads: opts.Threads,
		TensorParallel: opts.TensorParallel, DataParallel: opts.DataParallel, Float32: opts.Float32, DownloadDir: opts.DownloadDir,
	})
	if err != nil {
		return nil, err
	}
	return &Model{b}, nil
}

// Close ends what still runs and frees the model.
func (m *Model) Close() error { return m.b.Close() }

// Name is what the model is called.
func (m *Model) Name() string { return m.b.Name }

// MaxContext is the most tokens of a prompt and its answer.
func (m *Model) MaxContext() int { return m.b.MaxContext }

func rawKwargs(kwargs map[string]any) (map[string]json.RawMessage, error) {
	if kwargs == nil {
		return nil, nil
	}
	raw := make(map[string]json.RawMessage, len(kwargs))
	for name, v := range kwargs {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("TemplateKwargs[%q]: %w", name, err)
		}
		raw[name] = text
	}
	return raw, nil
}
