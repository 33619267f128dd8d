package cli

import (
	"runtime/debug"

	"github.com/reasond/reasond/internal/tokenizer"
)

// steadyGC is GOGC while a model is served. What lives in the Go heap is small
// and mostly vocabulary, and a token allocates next to nothing, so collecting at
// half the usual growth costs nothing that shows.
const steadyGC = 50

// settle gives back the memory that only loading needed.
func settle(w world) {
	if w.getenv.Value("GOGC") == "" {
		debug.SetGCPercent(steadyGC)
	}
	debug.FreeOSMemory()
	tokenizer.Trim()
}
