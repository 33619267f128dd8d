package server

import (
	"context"
	"net/http"

	"github.com/reasond/reasond/internal/llm"
)

// embeddings refuses: the models that are served here write text.
func (s *Server) embeddings(context.Context, http.ResponseWriter, *http.Request) error {
	return llm.Errorf(llm.Unsupported, "", "this server serves models that write text, and no embeddings")
}
