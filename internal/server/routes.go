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
	get("/", ollamaDialect.in(s.ollamaAlive))
	get("/api/version", ollamaDialect.in(s.ollamaVersion))

	// All others need a model, and speak a dialect.
	ask := func(d *dialect, h http.HandlerFunc) http.HandlerFunc { return d.in(s.whenLoaded(h)) }
	post := func(d *dialect, h http.HandlerFunc, paths ...string) {
		for _, path := range paths {
			r.With(s.jsonOnly).Post(path, ask(d, h))
		}
	}
	get("/v1/models", ask(&openaiDialect, s.listModels))
	get("/v1/models/*", ask(&openaiDialect, s.getModel))
	post(&openaiDialect, s.chatCompletions, "/v1/chat/completions")
	r.Post("/v1/chat/completions/{id}/answer_now", ask(&openaiDialect, s.answerNow))
	post(&openaiDialect, s.inside(s.completions), "/v1/completions")
	post(&anthropicDialect, s.inside(s.messages), "/v1/messages")
	post(&anthropicDialect, s.inside(s.countTokens), "/v1/messages/count_tokens")
	post(&responsesDialect, s.inside(s.createResponse), "/v1/responses")
	get("/v1/responses/{id}", ask(&openaiDialect, s.getResponse))
	get("/v1/responses/{id}/input_items", ask(&openaiDialect, s.inputItems))
	r.Delete("/v1/responses/{id}", ask(&openaiDialect, s.deleteResponse))
	r.Post("/v1/responses/{id}/cancel", ask(&openaiDialect, s.cancelResponse))
	post(&ollamaDialect, s.inside(s.ollamaChat), "/api/chat")
	post(&ollamaDialect, s.inside(s.ollamaGenerate), "/api/generate")
	post(&ollamaDialect, s.inside(s.ollamaShow), "/api/show")
	get("/api/tags", ask(&ollamaDialect, s.ollamaTags))
	get("/api/ps", ask(&ollamaDialect, s.ollamaPs))
	post(&ollamaDialect, s.inside(s.embeddings), "/api/embed", "/api/embeddings")
	post(&openaiDialect, s.inside(s.embeddings), "/v1/embeddings")
	post(&openaiDialect, s.inside(s.generate), "/generate")
	post(&openaiDialect, s.inside(s.separateReasoning), "/separate_reasoning")
	post(&openaiDialect, s.inside(s.parseFunctionCall), "/parse_function_call")
	post(&openaiDialect, s.inside(s.tokenize), "/tokenize", "/v1/tokenize")
	post(&openaiDialect, s.inside(s.detokenize), "/detokenize", "/v1/detokenize")
	post(&openaiDialect, s.inside(s.applyTemplate), "/apply-template")
	return r
}
