package server

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
)

var (
	errStalled     = &llm.Error{Kind: llm.Stopping, Code: "engine_stalled", Message: "the engine makes no progress", RetryAfter: 10 * time.Second}
	errRestarting  = &llm.Error{Kind: llm.Stopping, Code: "engine_restarting", Message: "the device was lost and is being opened anew", RetryAfter: 5 * time.Second}
	errUnreachable = &llm.Error{Kind: llm.Stopping, Code: "upstream_unreachable", Message: "the server behind this one does not answer", RetryAfter: 2 * time.Second}
	errLoading     = &llm.Error{Kind: llm.Stopping, Code: "loading", Message: "the model is being loaded", RetryAfter: time.Second}
)

type status struct {
	Status string `json:"status"`
}

// alive says that the process answers.
func (s *Server) alive(w http.ResponseWriter, _ *http.Request) { writeJSON(w, status{"ok"}) }

// ready says that requests are taken: the models are there, nothing drains, and
// every engine makes progress, or its upstream answers. It asks the engines, as
// an HTTP layer that answers proves nothing.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.gate.draining() {
		s.fail(w, r, errDraining)
		return
	}
	c := s.models.Load()
	if c == nil {
		s.fail(w, r, errLoading)
		return
	}
	for _, m := range c.models {
		if stalled(m) {
			s.fail(w, r, errStalled)
			return
		}
		switch stats := m.Engine.Stats(); {
		case stats.Restarting:
			s.fail(w, r, errRestarting)
			return
		case stats.Unreachable:
			s.fail(w, r, errUnreachable)
			return
		}
	}
	writeJSON(w, status{"ok"})
}

func stalled(m *pipeline.Model) bool { return m.Engine.Stats().Stalled }

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, struct {
		Version string `json:"version"`
	}{s.cfg.Version})
}

// exposition is the Prometheus text of /metrics.
func (s *Server) exposition() http.HandlerFunc {
	return promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4, DisableCompression: true}).ServeHTTP
}
