package server

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/reasond/reasond/api"
)

// descriptionJSON is the OpenAPI document as JSON.
var descriptionJSON = sync.OnceValue(func() []byte {
	data, err := yaml.YAMLToJSON(api.OpenAPI)
	if err != nil {
		panic(err) // part of the program
	}
	return data
})

// describeJSON is GET /openapi.json, describeYAML GET /openapi.yaml.
func (s *Server) describeJSON(w http.ResponseWriter, _ *http.Request) {
	writeDocument(w, "application/json", descriptionJSON())
}

func (s *Server) describeYAML(w http.ResponseWriter, _ *http.Request) {
	writeDocument(w, "application/yaml", api.OpenAPI)
}

func writeDocument(w http.ResponseWriter, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}
