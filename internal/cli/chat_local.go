package cli

import (
	"context"
	"encoding/json"

	"github.com/reasond/reasond/internal/bundle"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
)

// localTalker runs the model in this process.
type localTalker struct {
	model   *bundle.Bundle
	options chatOptions
}

func newLocalTalker(ctx context.Context, w world, o chatOptions) (*localTalker, error) {
	model, err := openModel(ctx, w, newLogger(w.err, "warn", "auto"), &o.model, serving{maxQueue: 1})
	if err != nil {
		return nil, err
	}
	return &localTalker{model, o}, nil
}

func (t *localTalker) Close() error { return t.model.Close() }

func (t *localTalker) talk(ctx context.Context, messages []message, show func(llm.EventKind, string)) error {
	raw, err := json.Marshal(messages)
	if err != nil {
		return err
	}
	req := &pipeline.Request{
		Chat: llm.Chat{Messages: raw, AddGenerationPrompt: true},
		N:    1, Sampling: t.model.Defaults, SeparateReasoning: true, StreamReasoning: true,
	}
	req.Sampling.MaxTokens = t.options.maxTokens
	if t.options.temperature >= 0 {
		req.Sampling.Temperature = t.options.temperature
	}
	run, err := t.model.Start(ctx, req)
	if err != nil {
		return err
	}
	defer run.Close()
	return run.Each(ctx, func(e llm.Event) error {
		if e.Kind != llm.EventFinish {
			show(e.Kind, e.Text)
		}
		return nil
	})
}
