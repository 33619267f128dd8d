package server

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/reasond/reasond/api/openai"
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

// readiness is what /readyz and /health say of a server that is ready.
type readiness struct {
	Status   string  `json:"status"`
	State    string  `json:"state"`
	Progress float64 `json:"progress"`
}

// loadState is how far the models are, which is part of the 503 before they are
// there.
type loadState struct {
	State    string  `json:"state"`
	Progress float64 `json:"progress"` // of what is being done, 0 to 1
	Doing    string  `json:"doing"`
}

// Loading says what is being done before the models are there, and how much of
// it: done of total bytes. It may be called from several goroutines.
func (s *Server) Loading(doing string, done, total int64) {
	state := loadState{State: "loading", Doing: doing}
	if total > 0 {
		state.Progress = float64(min(max(done, 0), total)) / float64(total)
	}
	s.loading.Store(&state)
}

// notLoaded answers for a server whose models are not there.
func (s *Server) notLoaded(w http.ResponseWriter, r *http.Request) {
	exchangeOf(r.Context()).tongue = &dialect{fault: func(f *failure) []byte {
		body, err := json.Marshal(struct {
			openai.ErrorResponse
			loadState
		}{f.envelope(), *s.loading.Load()})
		if err != nil {
			panic(err) // strings and a number
		}
		return body
	}}
	s.fail(w, r, errLoading)
}

// whenLoaded answers 503 for an endpoint that needs a model while there is none.
func (s *Server) whenLoaded(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.models.Load() == nil {
			s.fail(w, r, errLoading)
			return
		}
		h(w, r)
	}
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
		s.notLoaded(w, r)
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
	writeJSON(w, readiness{Status: "ok", State: "ready", Progress: 1})
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
