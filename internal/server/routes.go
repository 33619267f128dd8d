package server

import (
	"net/http"

	"github.com/go-chi/chi/v5"
)

// routes is the whole route table.
//
//	open, without a key:  /healthz /readyz, and Config.PublicPaths
//	with a key:           everything else, unknown paths included
func (s *Server) routes() http.Handler {
	// Open routes stand apart: nothing that a path can be made to look like
	// leads from here to the router's other routes.
	return s.exchange(s.checkHost(s.authenticate(s.open(), s.router())))
}

// open are the routes that need no key.
func (s *Server) open() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{"/healthz": s.alive, "/readyz": s.ready}
}

// router has all others. api/openapi.yaml describes each.
func (s *Server) router() chi.Router {
	r := chi.NewRouter()
	r.Use(s.noteRoute)
	r.NotFound(s.notFound)
	r.MethodNotAllowed(s.methodNotAllowed)

	get := func(path string, h http.HandlerFunc) {
		r.Get(path, h)
		r.Head(path, h)
	}
	get("/health", s.ready)
	get("/version", s.version)
	get("/metrics", s.exposition())
	get("/openapi.json", s.describeJSON)
	get("/openapi.yaml", s.describeYAML)
	get("/v1/models", s.listModels)
	get("/v1/models/*", s.getModel)

	post := func(h http.HandlerFunc, paths ...string) {
		for _, path := range paths {
			r.With(s.jsonOnly).Post(path, h)
		}
	}
	post(s.chatCompletions, "/v1/chat/completions")
	r.Post("/v1/chat/completions/{id}/answer_now", s.answerNow)
	post(s.inside(s.completions), "/v1/completions")
	post(anthropicDialect.in(s.inside(s.messages)), "/v1/messages")
	post(anthropicDialect.in(s.inside(s.countTokens)), "/v1/messages/count_tokens")
	post(responsesDialect.in(s.inside(s.createResponse)), "/v1/responses")
	get("/v1/responses/{id}", s.getResponse)
	get("/v1/responses/{id}/input_items", s.inputItems)
	r.Delete("/v1/responses/{id}", s.deleteResponse)
	r.Post("/v1/responses/{id}/cancel", s.cancelResponse)
	post(ollamaDialect.in(s.inside(s.ollamaChat)), "/api/chat")
	post(ollamaDialect.in(s.inside(s.ollamaGenerate)), "/api/generate")
	post(ollamaDialect.in(s.inside(s.ollamaShow)), "/api/show")
	get("/api/tags", ollamaDialect.in(s.ollamaTags))
	get("/api/ps", ollamaDialect.in(s.ollamaPs))
	get("/api/version", ollamaDialect.in(s.ollamaVersion))
	post(ollamaDialect.in(s.inside(s.embeddings)), "/api/embed", "/api/embeddings")
	post(s.inside(s.embeddings), "/v1/embeddings")
	post(s.inside(s.generate), "/generate")
	post(s.inside(s.separateReasoning), "/separate_reasoning")
	post(s.inside(s.parseFunctionCall), "/parse_function_call")
	post(s.inside(s.tokenize), "/tokenize", "/v1/tokenize")
	post(s.inside(s.detokenize), "/detokenize", "/v1/detokenize")
	post(s.inside(s.applyTemplate), "/apply-template")
	return r
}
