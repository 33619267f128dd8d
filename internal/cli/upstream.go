package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/reasond/reasond/internal/bundle"
	"github.com/reasond/reasond/internal/config"
	"github.com/reasond/reasond/internal/pipeline"
)

// openAll opens what is to be served: the models of the upstreams, or else the
// one model that this process runs. loading is told how far that is.
func openAll(ctx context.Context, w world, log *slog.Logger, o *config.Serve, loading func(doing string, done, total int64)) ([]*bundle.Bundle, error) {
	targets := o.Upstream.List()
	if len(targets) == 0 {
		b, err := openModel(ctx, w, log, &o.Model, serving{names: o.ServedNames, maxQueue: o.MaxQueue, loading: loading})
		if err != nil {
			return nil, err
		}
		return []*bundle.Bundle{b}, nil
	}
	up, err := readUpstream(ctx, w, log, o)
	if err != nil {
		return nil, err
	}
	var all []*bundle.Bundle
	for _, t := range targets {
		up.Name, up.URL = t.Name, t.URL
		some, err := bundle.OpenUpstream(ctx, up)
		if err != nil {
			return nil, err
		}
		for _, b := range some {
			log.Info("upstream found", "model", b.Name, "url", t.URL, "kind", up.Kind, "context", b.MaxContext)
			logParser(log, b)
			b.Budgets = pipeline.Budgets{Default: o.Model.ThinkingBudget, Ceiling: o.Model.MaxThinking, BreakLoops: o.Model.BreakLoops}
		}
		all = append(all, some...)
	}
	if len(o.ServedNames) > 0 {
		all[0].Name, all[0].Aliases = o.ServedNames[0], o.ServedNames[1:]
	}
	return all, nil
}

// readUpstream is what the upstreams have in common.
func readUpstream(ctx context.Context, w world, log *slog.Logger, o *config.Serve) (bundle.Upstream, error) {
	up := bundle.Upstream{
		Kind: o.Upstream.Kind, APIKey: o.Upstream.APIKey, TemplateKwargs: o.Model.TemplateKwargs, MaxModelLen: o.Model.MaxModelLen,
	}
	if err := registerParsers(o.Model.ParserFiles); err != nil {
		return up, err
	}
	up.ToolParser = o.Model.ToolParser
	if up.Parser = o.Model.Parser; !o.Model.EnableReasoning {
		up.Parser = bundle.NoParser
	}
	if o.Upstream.Mode != "completions" {
		return up, nil
	}
	if o.Model.ChatTemplate != "" {
		source, err := os.ReadFile(o.Model.ChatTemplate)
		if err != nil {
			return up, fmt.Errorf("--chat-template: %w", err)
		}
		up.ChatTemplate = string(source)
	}
	bars := newProgress(w.err, log)
	defer bars.Close()
	found, err := locate(ctx, w, log, bars, o.Model.Path, o.Model.DownloadDir)
	if err != nil {
		return up, err
	}
	up.Text = found.path
	return up, nil
}
