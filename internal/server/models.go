package server

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
)

// defaultName is the first model under a name that never changes.
const defaultName = "default"

// names are what a model answers to, its own name first.
func names(m *pipeline.Model) []string { return append([]string{m.Name}, m.Aliases...) }

func (s *Server) nameModels() error {
	s.models = map[string]*pipeline.Model{}
	for _, m := range s.cfg.Models {
		for _, name := range names(m) {
			if other, taken := s.models[name]; taken && other != m {
				return fmt.Errorf("server: two models are called %q", name)
			}
			s.models[name] = m
		}
	}
	if _, taken := s.models[defaultName]; !taken {
		s.models[defaultName] = s.cfg.Models[0]
	}
	return nil
}

// model finds a model by a request's name for it; no name means the first.
func (s *Server) model(name string) (*pipeline.Model, error) {
	if m, ok := s.models[name]; ok {
		return m, nil
	}
	if name == "" || s.cfg.AnyModelName {
		return s.cfg.Models[0], nil
	}
	var known []string
	for _, m := range s.cfg.Models {
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
	for _, m := range s.cfg.Models {
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
	return openai.Model{ID: name, Object: "model", Created: m.Created.Unix(), OwnedBy: "reasond", Root: m.Name, MaxModelLen: m.MaxContext}
}
