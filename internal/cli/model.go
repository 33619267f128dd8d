package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/reasond/reasond/internal/bundle"
	"github.com/reasond/reasond/internal/config"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/reasoning"
)

// serving is what a model needs to know of how it is served.
type serving struct {
	names    []string // the first is in answers; empty: what the model is called
	maxQueue int
	loading  func(doing string, done, total int64) // is told how far downloads and loading are; nil: nobody asks
}

// openModel finds the model, downloads it if need be, and opens it; bars show
// how far that is.
func openModel(ctx context.Context, w world, log *slog.Logger, m *config.Model, s serving) (*bundle.Bundle, error) {
	device, why, err := chooseDevice(m)
	if err != nil {
		return nil, err // before a download
	}
	if why != "" {
		log.Info("computing on the CPU", "why", why)
	}
	c := bundle.Config{
		Device: bundle.Device{
			CUDA: device.Kind == config.DeviceCUDA, Index: device.Index, Memory: m.GPUMemory, BatchInvariant: m.BatchInvariant,
			Driver: m.Libraries.Driver, BLAS: m.Libraries.CUBLASLt, NCCL: m.Libraries.NCCL,
		},
		TensorParallel: m.TensorParallel, DataParallel: m.DataParallel,
		Float32: m.DType == "float32", MaxModelLen: m.MaxModelLen, MaxSeqs: m.MaxSeqs,
		MaxBatchedTokens: m.MaxBatchedTokens, MaxWaiting: s.maxQueue, Threads: m.Threads,
		MaxPrefillStall: m.MaxPrefillStall, KVBytes: m.KVBytes, NoPrefixCache: !m.PrefixCaching, TemplateKwargs: m.TemplateKwargs,
		Parser: m.Parser, NoParser: !m.EnableReasoning || m.Parser == "none", ToolParser: m.ToolParser,
	}
	if m.Speculative != "off" {
		c.DraftTokens = m.DraftTokens
	}
	if err := registerParsers(m.ParserFiles); err != nil {
		return nil, err
	}
	if m.ChatTemplate != "" {
		source, err := os.ReadFile(m.ChatTemplate)
		if err != nil {
			return nil, fmt.Errorf("--chat-template: %w", err)
		}
		c.ChatTemplate = string(source)
	}
	bars := newProgress(w.err, log)
	if s.loading != nil {
		bars.tell = func(stage string, done, total int64) { s.loading(inWords(stage), done, total) }
	}
	defer bars.Close()
	if m.Path != "" {
		found, err := locate(ctx, w, log, bars, m.Path, m.DownloadDir)
		if err != nil {
			return nil, err
		}
		c.Path, c.Name = found.path, found.name
	}
	if c.Draft, err = locateDraft(ctx, w, log, bars, m); err != nil {
		return nil, err
	}
	if len(s.names) > 0 {
		c.Name, c.Names = s.names[0], s.names[1:]
	}
	began := time.Now()
	c.Progress = func(done, total int64) { bars.Report(stageLoading, done, total) }
	b, err := bundle.Open(c)
	bars.Close()
	if err != nil {
		return nil, err
	}
	log.Info("model loaded", "model", b.Name, "architecture", b.Config.Architecture, "context", b.MaxContext,
		"kv_pages", b.Pages, "backend", b.Backend.Name, "engines", m.DataParallel, "ranks", m.TensorParallel, "seconds", time.Since(began).Seconds())
	logParser(log, b)
	if m.Speculative == "ngram" && !b.Backend.Drafts {
		log.Warn("--speculative ngram has no effect: this device cannot check guesses", "backend", b.Backend.Name)
	}
	b.Budgets = pipeline.Budgets{Default: m.ThinkingBudget, Ceiling: m.MaxThinking, BreakLoops: m.BreakLoops}
	return b, nil
}

// locateDraft finds the model that guesses ahead, as locate does; the embedded one has
// a name, which its file would hide.
func locateDraft(ctx context.Context, w world, log *slog.Logger, bars *progress, m *config.Model) (string, error) {
	if m.DraftModel != "" && m.Speculative == "off" {
		log.Warn("--draft-model has no effect beside --speculative off")
		return "", nil
	}
	if _, err := os.Stat(m.DraftModel); m.DraftModel == "" || m.DraftModel == bundle.Embedded && err != nil {
		return m.DraftModel, nil
	}
	found, err := locate(ctx, w, log, bars, m.DraftModel, m.DownloadDir)
	if err != nil {
		return "", fmt.Errorf("--draft-model: %w", err)
	}
	return found.path, nil
}

// stageLoading is packing the weights; every other stage is a file's download.
const stageLoading = "loading"

func inWords(stage string) string {
	if stage == stageLoading {
		return "loading the weights"
	}
	return "downloading " + stage
}

// registerParsers makes the parsers known that files describe.
func registerParsers(files []string) error {
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil {
			err = reasoning.RegisterFile(data)
		}
		if err != nil {
			return fmt.Errorf("--reasoning-parser-plugin %s: %w", file, err)
		}
	}
	return nil
}

// logParser says which reasoning parser was chosen, or why none was.
func logParser(log *slog.Logger, b *bundle.Bundle) {
	switch {
	case b.Parser != nil:
		log.Info("reasoning is told from content", "model", b.Name, "parser", b.Parser.Name)
	case b.NoParser != nil:
		log.Info("everything is content: --reasoning-parser NAME splits off the reasoning", "model", b.Name, "why", b.NoParser.Error())
	}
}
