package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/metrics"
	"github.com/reasond/reasond/internal/pipeline"
)

// defaultName is the first model under a name that never changes.
const defaultName = "default"

// names are what a model answers to, its own name first.
func names(m *pipeline.Model) []string { return append([]string{m.Name}, m.Aliases...) }

// catalogue is the models that a server has. It does not change.
type catalogue struct {
	models []*pipeline.Model          // at least one
	byName map[string]*pipeline.Model // by every name
}

// Open gives a server that was made without models those that it serves. Until
// then /healthz answers, /readyz is 503, and so is what needs a model.
func (s *Server) Open(models ...*pipeline.Model) error {
	if len(models) == 0 {
		return errors.New("server: there is no model")
	}
	c := &catalogue{models: models, byName: map[string]*pipeline.Model{}}
	for _, m := range models {
		for _, name := range names(m) {
			if other, taken := c.byName[name]; taken && other != m {
				return fmt.Errorf("server: two models are called %q", name)
			}
			c.byName[name] = m
		}
	}
	if _, taken := c.byName[defaultName]; !taken {
		c.byName[defaultName] = models[0]
	}
	if !s.models.CompareAndSwap(nil, c) {
		return errors.New("server: it has its models already")
	}
	return nil
}

// engines is what metrics reports on.
func (s *Server) engines() []metrics.Source {
	c := s.models.Load()
	if c == nil {
		return nil
	}
	var sources []metrics.Source
	for _, m := range c.models {
		sources = append(sources, metrics.Source{Model: m.Name, Stats: m.Engine.Stats})
	}
	return sources
}

// model finds a model by a request's name for it; no name means the first.
func (s *Server) model(name string) (*pipeline.Model, error) {
	c := s.models.Load()
	if c == nil {
		return nil, errLoading
	}
	if m, ok := c.byName[name]; ok {
		return m, nil
	}
	if name == "" || s.cfg.AnyModelName {
		return c.models[0], nil
	}
	var known []string
	for _, m := range c.models {
		known = append(known, names(m)...)
	}
	if !slices.Contains(known, defaultName) {
		known = append(known, defaultName)
	}
	return nil, &llm.Error{Kind: llm.NotFound, Param: "model", Code: "model_not_found",
		Message: "there is no such model here; there are: " + strings.Join(known, ", ")}
}

func (s *Server) listModels(w http.ResponseWriter, _ *http.Request) {
	list := openai.ModelList{Object: "list", Data: []openai.Model{}}
	for _, m := range s.models.Load().models {
		for _, name := range names(m) {
			list.Data = append(list.Data, describeModel(name, m))
		}
	}
	writeJSON(w, list)
}

// getModel takes a name with slashes, escaped or not.
func (s *Server) getModel(w http.ResponseWriter, r *http.Request) {
	name := chi.URLParam(r, "*")
	if plain, err := url.PathUnescape(name); err == nil && r.URL.RawPath != "" {
		name = plain
	}
	if name == "" {
		s.notFound(w, r)
		return
	}
	m, err := s.model(name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, describeModel(name, m))
}

func describeModel(name string, m *pipeline.Model) openai.Model {
	return openai.Model{ID: name, Object: "model", Created: m.Created.Unix(), OwnedBy: "reasond", Root: m.Name, MaxModelLen: m.MaxContext, Reasoning: describeReasoning(m)}
}
