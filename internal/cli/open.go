package cli

import (
	"context"
	"encoding/json"
	"io"
	"os"

	"github.com/reasond/reasond/internal/bundle"
	"github.com/reasond/reasond/internal/config"
)

// Opening is how a Go program opens a model. Zero values mean what the flags
// mean by default.
type Opening struct {
	Model          string // folder, .gguf file or hub id; empty: the embedded model
	Parser         string // --reasoning-parser
	ChatTemplate   string // a file
	TemplateKwargs map[string]json.RawMessage
	MaxContext     int // tokens
	Threads        int
	TensorParallel int
	DataParallel   int
	Float32        bool
	DownloadDir    string
}

// Open opens a model as the commands do, downloading it if need be, and writes
// nothing anywhere. Close it.
func Open(ctx context.Context, o Opening) (*bundle.Bundle, error) {
	m := config.DefaultModel()
	m.Path, m.Parser, m.ChatTemplate, m.DownloadDir = o.Model, o.Parser, o.ChatTemplate, o.DownloadDir
	m.MaxModelLen, m.Threads, m.TemplateKwargs = o.MaxContext, o.Threads, o.TemplateKwargs
	m.TensorParallel, m.DataParallel = max(o.TensorParallel, 1), max(o.DataParallel, 1)
	if o.Float32 {
		m.DType = "float32"
	}
	w := world{in: nil, out: io.Discard, err: io.Discard, getenv: os.LookupEnv}
	return openModel(ctx, w, newLogger(io.Discard, "error", "json"), &m, serving{})
}
