// Package smollm2 tells tests where the real model lies that `make models`
// fetches: SmolLM2-135M-Instruct as GGUF. The goldens of this folder are what
// transformers, tokenizers and the gguf package compute for that very file.
package smollm2

import (
	"os"
	"path/filepath"
	"testing"
)

// File is the model's file name in the cache.
const File = "SmolLM2-135M-Instruct.Q4_1.gguf"

const size = 98362432 // bytes; fetch_models.py has checked the SHA-256

// Path is the model in the cache ($REASOND_MODELS, else reasond/models in the
// user's cache folder), and whether it is there.
func Path() (string, bool) {
	folder := os.Getenv("REASOND_MODELS")
	if folder == "" {
		cache := os.Getenv("XDG_CACHE_HOME")
		if cache == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return "", false
			}
			cache = filepath.Join(home, ".cache")
		}
		folder = filepath.Join(cache, "reasond", "models")
	}
	path := filepath.Join(folder, File)
	info, err := os.Stat(path)
	return path, err == nil && info.Size() == size
}

// Need is Path for a test or benchmark, which is skipped where the model is not: it
// is 98 MB, so it is fetched, not kept.
func Need(tb testing.TB) string {
	tb.Helper()
	path, ok := Path()
	if !ok {
		tb.Skip("SmolLM2 is not in the cache: run `make models` first")
	}
	return path
}
