package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/reasond/reasond/internal/weights/hub"
)

// source is a model on this machine.
type source struct {
	path string // to open
	name string // what it is called where its path would be meaningless; may be empty
}

// locate turns what the user calls a model into what to open, downloading it
// from the hub if that is what the name means. downloadDir, if not empty,
// replaces the cache folder that the environment names.
func locate(ctx context.Context, w world, log *slog.Logger, p *progress, name, downloadDir string) (source, error) {
	target, err := hub.Resolve(name)
	if err != nil || target.Path != "" {
		return source{path: target.Path}, err
	}
	home, err := os.UserHomeDir()
	if err != nil && downloadDir == "" && w.getenv.Value("HF_HOME") == "" && w.getenv.Value("HF_HUB_CACHE") == "" {
		return source{}, errors.New("there is no home folder to keep downloads in: set HF_HOME or --download-dir")
	}
	c := hub.FromEnv(w.getenv.Value, home)
	if downloadDir != "" {
		c.CacheDir = downloadDir
	}
	c.Agent = "reasond/" + Version()
	c.Progress = func(h hub.Progress) { p.Report(h.File, h.Done, h.Total) }
	snapshot, err := c.Get(ctx, target.Ref)
	if err != nil {
		return source{}, err
	}
	if snapshot.Stale {
		log.Warn("the hub cannot be reached; using what the cache holds", "model", name, "commit", snapshot.Commit)
	}
	return source{snapshot.Path, target.Ref.Repo}, nil
}
