package pipeline

import (
	"context"

	"github.com/reasond/reasond/internal/llm"
)

// Engine turns prompts into tokens: the local batching engine, a remote
// OpenAI-compatible server, or a scripted one in tests.
type Engine interface {
	// Submit accepts a request or refuses it: Invalid, TooLong, Overloaded or
	// Stopping. A cancelled ctx aborts the request within one step, wherever it
	// is. Submit does not wait for the request's turn.
	Submit(ctx context.Context, req *llm.Request) (llm.Stream, error)
	Caps() llm.Caps
	Stats() llm.Stats
	// Close ends every stream with FinishAbort and waits for the engine to stop.
	Close() error
}
