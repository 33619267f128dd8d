package server

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/toolcall"
)

// operation is what the description says of one method of one path.
type operation struct {
	OperationID string
	RequestBody *struct {
		Content map[string]struct{ Schema any }
	}
	Responses map[string]struct {
		Ref     string `json:"$ref"`
		Content map[string]struct{ Schema any }
	}
}

// description is the OpenAPI document with a compiler for its schemas.
type description struct {
	paths    map[string]map[string]operation // by path and method
	schemas  map[string]map[string]any
	compiler *jsonschema.Compiler
}

// described reads the document. To find members that it does not describe, its
// objects are closed where it does not say otherwise.
var described = sync.OnceValues(func() (*description, error) {
	d := &description{compiler: jsonschema.NewCompiler()}
	var doc struct {
		Paths      map[string]map[string]operation
		Components struct{ Schemas map[string]map[string]any }
	}
	if err := json.Unmarshal(descriptionJSON(), &doc); err != nil {
		return nil, err
	}
	d.paths, d.schemas = doc.Paths, doc.Components.Schemas
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(descriptionJSON()))
	if err != nil {
		return nil, err
	}
	closeObjects(whole)
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	return d, d.compiler.AddResource("openapi.json", whole)
})

// closeObjects adds additionalProperties false to schemas that list properties.
func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, lists := v["properties"].(map[string]any); lists && v["type"] != nil {
			if _, says := v["additionalProperties"]; !says {
				v["additionalProperties"] = false
			}
		}
		for _, sub := range v {
			closeObjects(sub)
		}
	case []any:
		for _, sub := range v {
			closeObjects(sub)
		}
	}
}

func describedAPI(t *testing.T) *description {
	t.Helper()
	d, err := described()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// escaped is a JSON pointer's token for a name.
func escaped(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(name)
}

// check holds one JSON value against the schema at a place in the document.
func (d *description) check(place string, data []byte) error {
	schema, err := d.compiler.Compile("openapi.json#" + place)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// checkAnswer holds an answer against what its route says.
func (d *description) checkAnswer(path, method string, r response) error {
	op, ok := d.paths[path][strings.ToLower(method)]
	if !ok {
		return fmt.Errorf("%s %s is not described", method, path)
	}
	code := fmt.Sprint(r.status)
	if _, ok := op.Responses[code]; !ok {
		code = code[:1] + "XX"
	}
	answer, ok := op.Responses[code]
	if !ok {
		return fmt.Errorf("status %d is not described", r.status)
	}
	place := "/paths/" + escaped(path) + "/" + strings.ToLower(method) + "/responses/" + code
	content := answer.Content
	if answer.Ref != "" {
		place = strings.TrimPrefix(answer.Ref, "#")
		content = d.errorContent(answer.Ref)
	}
	kind, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	if _, ok := content[kind]; !ok {
		return fmt.Errorf("%s is not described for status %d", kind, r.status)
	}
	place += "/content/" + escaped(kind) + "/schema"
	for _, data := range bodies(kind, r.body) {
		if err := d.check(place, data); err != nil {
			return fmt.Errorf("%s: %w", data, err)
		}
	}
	return nil
}

// errorContent is what a shared answer may be.
func (d *description) errorContent(ref string) map[string]struct{ Schema any } {
	var doc struct {
		Components struct {
			Responses map[string]struct {
				Content map[string]struct{ Schema any }
			}
		}
	}
	if err := json.Unmarshal(descriptionJSON(), &doc); err != nil {
		panic(err)
	}
	return doc.Components.Responses[strings.TrimPrefix(ref, "#/components/responses/")].Content
}

// bodies are the JSON values of a body: itself, each line, or each event's data.
func bodies(kind, body string) [][]byte {
	var all [][]byte
	switch kind {
	case "application/json":
		return [][]byte{[]byte(body)}
	case "application/x-ndjson":
		for line := range strings.Lines(body) {
			all = append(all, []byte(line))
		}
	case "text/event-stream":
		for line := range strings.Lines(body) {
			if data, ok := strings.CutPrefix(line, "data: "); ok && data != "[DONE]\n" {
				all = append(all, []byte(data))
			}
		}
	default: // a text, whatever it is
		quoted, _ := json.Marshal(body)
		all = append(all, quoted)
	}
	return all
}

// Every route is described, and every description is of a route.
func TestRoutesAndTheirDescriptionsAreTheSame(t *testing.T) {
	d := describedAPI(t)
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	routes := map[string]bool{}
	for path := range s.open() {
		routes["GET "+path] = true
	}
	err = chi.Walk(s.router(), func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routes[method+" "+strings.Replace(path, "/*", "/{name}", 1)] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for path, methods := range d.paths {
		for method, op := range methods {
			if key := strings.ToUpper(method) + " " + path; !routes[key] {
				t.Errorf("%s is described and is no route", key)
			}
			if ids[op.OperationID] || op.OperationID == "" {
				t.Errorf("%s %s: the operationId %q is empty or taken", method, path, op.OperationID)
			}
			ids[op.OperationID] = true
		}
	}
	for route := range routes {
		method, path, _ := strings.Cut(route, " ")
		if method == http.MethodHead {
			if !routes["GET "+path] {
				t.Errorf("%s: only GET routes answer HEAD", route)
			}
			continue
		}
		if _, ok := d.paths[path][strings.ToLower(method)]; !ok {
			t.Errorf("%s is not described in api/openapi.yaml", route)
		}
	}
}

// All schemas are JSON Schema 2020-12, and each of them is used.
func TestDescribedSchemasCompileAndAreUsed(t *testing.T) {
	d := describedAPI(t)
	text := string(descriptionJSON())
	for name := range d.schemas {
		if _, err := d.compiler.Compile("openapi.json#/components/schemas/" + name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(text, `"#/components/schemas/`+name+`"`) {
			t.Errorf("%s: nothing refers to it", name)
		}
	}
}

func TestTheDescriptionIsServed(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	for path, kind := range map[string]string{"/openapi.json": "application/json", "/openapi.yaml": "application/yaml"} {
		r := f.do(t, "GET", path, "")
		if r.status != 200 || r.header.Get("Content-Type") != kind || !strings.Contains(r.body, "/v1/chat/completions/{id}/answer_now") {
			t.Errorf("%s: %d %s %.100s", path, r.status, r.header.Get("Content-Type"), r.body)
		}
	}
}

// exchanges are requests of every route, with all that changes an answer's form.
// A body that a route takes is one that its schema takes.
func exchanges() []exchanged {
	messages := `"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"?"}]},{"role":"assistant","content":null,"reasoning_content":"r","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"1"}]`
	tools := `"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true}}],"tool_choice":"auto"`
	anthropic := `"model":"tiny","max_tokens":400,"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":"?"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"x"},{"type":"tool_use","id":"a","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"1"}]}]`
	anthropicTools := `"tools":[{"name":"f","description":"d","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto"}`
	responses := `"input":[{"role":"user","content":"?"},{"type":"reasoning","content":[{"type":"reasoning_text","text":"r"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"1"}],"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]`
	ollama := `"model":"tiny","messages":[{"role":"user","content":"?"}],"options":{"temperature":0,"num_ctx":5,"num_predict":-1}`
	calls := []string{}
	all := []exchanged{
		{path: "/v1/completions", body: `{"prompt":"?","max_tokens":100}`}, {path: "/v1/completions", body: `{"prompt":[[5],[6]],"n":2,"stream":true,"stream_options":{"include_usage":true}}`},
		{path: "/v1/completions", body: `{"prompt":"?","max_tokens":"x"}`, status: 400},
		{path: "/v1/chat/completions", body: `{"messages":[]}`, status: 400}, {path: "/v1/chat/completions", body: `{"model":"no","messages":[{"role":"user","content":"?"}]}`, status: 404},
		{path: "/v1/messages", body: `{` + anthropic + `,"nonsense":1}`, status: 400},
		{path: "/v1/messages/count_tokens", body: `{` + anthropic + `}`}, {path: "/v1/messages/count_tokens", body: `{}`, status: 400},
		{path: "/v1/responses", body: `{"input":5}`, status: 400},
		{method: "GET", path: "/v1/responses/{id}", url: "/v1/responses/no", status: 404}, {method: "DELETE", path: "/v1/responses/{id}", url: "/v1/responses/no", status: 404},
		{method: "GET", path: "/v1/responses/{id}/input_items", url: "/v1/responses/no/input_items", status: 404}, {path: "/v1/responses/{id}/cancel", url: "/v1/responses/no/cancel", status: 404},
		{path: "/v1/chat/completions/{id}/answer_now", url: "/v1/chat/completions/no/answer_now", status: 404},
		{path: "/api/chat", body: `{"model":"tiny"}`, status: 400}, {path: "/api/generate", body: `{"model":"tiny","prompt":"?"}`}, {path: "/api/generate", body: `{"model":"tiny","prompt":"?","raw":true,"stream":false}`},
		{path: "/api/generate", body: `{"model":"no"}`, status: 404}, {path: "/api/generate", body: `{"model":"tiny"}`}, {path: "/api/chat", body: `{"model":"tiny","messages":[]}`}, {method: "GET", path: "/"}, {path: "/api/show", body: `{"model":"tiny"}`}, {path: "/api/show", body: `{}`, status: 400},
		{method: "GET", path: "/api/tags"}, {method: "GET", path: "/api/ps"}, {method: "GET", path: "/api/version"},
		{path: "/api/embed", body: `{}`, status: 400}, {path: "/api/embeddings", body: `{}`, status: 400}, {path: "/v1/embeddings", body: `{}`, status: 400},
		{path: "/generate", body: `{"text":"?"}`}, {path: "/generate", body: `{"input_ids":[[5],[6]],"sampling_params":{"n":2,"max_new_tokens":5},"stream":true}`}, {path: "/generate", body: `{}`, status: 400},
		{path: "/separate_reasoning", body: `{"text":"<think>a</think>b","reasoning_parser":"qwen3"}`}, {path: "/separate_reasoning", body: `{}`, status: 400},
		{path: "/parse_function_call", body: `{"text":"a","tool_call_parser":"hermes","tools":[{"type":"function","function":{"name":"f"}}]}`}, {path: "/parse_function_call", body: `{}`, status: 400},
		{path: "/parse_function_call", body: `{"text":"a<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>",` + strings.Split(tools, `,"tool_choice"`)[0] + `}`},
		{path: "/tokenize", body: `{"prompt":"a"}`}, {path: "/v1/tokenize", body: `{"prompt":["a","b"],"return_token_strs":true}`}, {path: "/tokenize", body: `{` + messages + `}`}, {path: "/v1/tokenize", body: `{}`, status: 400},
		{path: "/detokenize", body: `{"tokens":[5]}`}, {path: "/v1/detokenize", body: `{"tokens":[[5],[6]]}`}, {path: "/detokenize", body: `{}`, status: 400},
		{path: "/apply-template", body: `{` + messages + `}`}, {path: "/apply-template", body: `{}`, status: 400},
		{method: "GET", path: "/v1/models"}, {method: "GET", path: "/v1/models/{name}", url: "/v1/models/tiny"}, {method: "GET", path: "/v1/models/{name}", url: "/v1/models/no", status: 404},
		{method: "GET", path: "/health"}, {method: "GET", path: "/healthz"}, {method: "GET", path: "/readyz"}, {method: "GET", path: "/version"}, {method: "GET", path: "/metrics"},
		{method: "GET", path: "/openapi.yaml"}, {method: "GET", path: "/openapi.json"},
	}
	for _, stream := range []string{`,"stream":true}`, `,"stream":false}`} {
		for _, more := range []string{"", `,` + tools, `,"n":2,"logprobs":true,"top_logprobs":2`, `,"max_tokens":3`, `,"stop":["b"]`, `,"separate_reasoning":false`, `,"stream_options":{"include_usage":true}`} {
			if strings.Contains(more, "stream_options") && !strings.Contains(stream, "true") {
				continue
			}
			calls = append(calls, `{`+messages+more+stream)
		}
		all = append(all,
			exchanged{path: "/v1/messages", body: `{` + anthropic + stream}, exchanged{path: "/v1/messages", body: `{` + anthropic + `,` + anthropicTools + stream},
			exchanged{path: "/v1/messages", body: `{` + strings.Replace(anthropic, "400", "3", 1) + stream},
			exchanged{path: "/v1/responses", body: `{"input":"?","instructions":"i","metadata":{"a":"b"},"reasoning":{"effort":"low","summary":"auto"}` + stream}, exchanged{path: "/v1/responses", body: `{` + responses + stream},
			exchanged{path: "/v1/responses", body: `{"input":"?","include":["message.output_text.logprobs"],"max_output_tokens":3` + stream},
			exchanged{path: "/api/chat", body: `{` + ollama + stream}, exchanged{path: "/api/chat", body: `{` + ollama + `,` + strings.Split(tools, `,"tool_choice"`)[0] + stream},
		)
	}
	for _, body := range calls {
		all = append(all, exchanged{path: "/v1/chat/completions", body: body})
	}
	return all
}

// exchanged is one of them; the method is POST, the URL the path and the status
// 200 where nothing else is said.
type exchanged struct {
	method, path, url, body string
	status                  int
}

// What a server answers is what the description says, in every dialect, whole,
// streamed and refused, with thoughts, calls and log-probabilities.
func TestAnswersAreWhatTheDescriptionSays(t *testing.T) {
	d := describedAPI(t)
	f := describedServer(t)
	seen := map[string]bool{}
	check := func(f *fixture, method, path, url, body string, status int) {
		t.Helper()
		r := f.do(t, method, url, body)
		if r.status != status {
			t.Errorf("%s %s %s: %d %.300s", method, url, body, r.status, r.body)
			return
		}
		if err := d.checkAnswer(path, method, r); err != nil {
			t.Errorf("%s %s %s: %v", method, url, body, err)
		}
		kind, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
		seen[fmt.Sprintf("%s %s %d %s", method, path, status/100, kind)] = true
		if op := d.paths[path][strings.ToLower(method)]; op.RequestBody != nil && r.status == 200 {
			place := "/paths/" + escaped(path) + "/" + strings.ToLower(method) + "/requestBody/content/application~1json/schema"
			if err := d.check(place, []byte(body)); err != nil {
				t.Errorf("%s takes what its schema does not: %s: %v", path, body, err)
			}
		}
	}
	for _, e := range exchanges() {
		check(f, cmp.Or(e.method, "POST"), e.path, cmp.Or(e.url, e.path), e.body, cmp.Or(e.status, 200))
	}
	describedLives(t, f, check)
	describedRun(t, check)
	describedLoading(t, check)
	for path, methods := range d.paths {
		for method, op := range methods {
			for code, answer := range op.Responses {
				for kind := range answer.Content {
					if key := fmt.Sprintf("%s %s %s %s", strings.ToUpper(method), path, code[:1], kind); !seen[key] {
						t.Errorf("no answer %s was tried", key)
					}
				}
			}
		}
	}
}

// describedLoading is a server without models.
func describedLoading(t *testing.T, check func(f *fixture, method, path, url, body string, status int)) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(s.Handler())
	defer front.Close()
	s.Loading("loading", 1, 3)
	f := &fixture{Server: s, addr: strings.TrimPrefix(front.URL, "http://"), client: front.Client()}
	for _, path := range []string{"/readyz", "/health"} {
		check(f, "GET", path, path, "", http.StatusServiceUnavailable)
	}
}

// describedServer answers with a thought, text and a call, which is one where the
// request has tools.
func describedServer(t *testing.T) *fixture {
	steps := tokens(t, "<think>\nHm.\n</think>\n\nabc<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>")
	f := begin(t, Config{}, scripted.Config{
		Caps:   llm.Caps{IDs: true, Text: true, Logprobs: true},
		Script: func(*llm.Request, int) []scripted.Step { return steps },
	})
	tools, err := toolcall.Lookup("hermes")
	if err != nil {
		t.Fatal(err)
	}
	f.models.Load().models[0].Tools = tools
	return f
}

// describedLives are the answers about what is kept or still runs, and the
// failures of a server that stops.
func describedLives(t *testing.T, f *fixture, check func(f *fixture, method, path, url, body string, status int)) {
	var kept struct{ ID string }
	if err := json.Unmarshal([]byte(f.do(t, "POST", "/v1/responses", `{"input":"?"}`).body), &kept); err != nil {
		t.Fatal(err)
	}
	at := "/v1/responses/" + kept.ID
	check(f, "GET", "/v1/responses/{id}", at, "", 200)
	check(f, "GET", "/v1/responses/{id}/input_items", at+"/input_items", "", 200)
	check(f, "POST", "/v1/responses/{id}/cancel", at+"/cancel", "", 400)
	check(f, "DELETE", "/v1/responses/{id}", at, "", 200)
	defer f.live.add("runs", "", &closing{live: true})()
	check(f, "POST", "/v1/chat/completions/{id}/answer_now", "/v1/chat/completions/runs/answer_now", "", 200)
}

// describedRun is a response that runs and is cancelled.
func describedRun(t *testing.T, check func(f *fixture, method, path, url, body string, status int)) {
	hold := make(chan struct{})
	defer close(hold)
	f := begin(t, Config{}, scripted.Config{Script: at(30, hold)})
	b := f.beginResponse(t, t.Context())
	check(f, "GET", "/v1/responses/{id}", "/v1/responses/"+b.id, "", 200)
	check(f, "POST", "/v1/responses/{id}/cancel", "/v1/responses/"+b.id+"/cancel", "", 200)
	for _, e := range b.rest(t) {
		data, err := json.Marshal(e.data)
		if err == nil {
			err = describedAPI(t).check("/components/schemas/ResponseEvent", data)
		}
		if err != nil {
			t.Errorf("%s: %v", data, err)
		}
	}
}

// A server that does not take requests, and a stream that breaks, say so as described.
func TestFailuresAreWhatTheDescriptionSays(t *testing.T) {
	d := describedAPI(t)
	f := begin(t, Config{}, scripted.Config{Script: func(*llm.Request, int) []scripted.Step {
		return append(spell(raw[:20], 3)(nil, 0), scripted.Step{Err: errors.New("broken")})
	}})
	for schema, path := range map[string]string{"ChatCompletionChunk": "/v1/chat/completions", "MessageEvent": "/v1/messages", "ResponseEvent": "/v1/responses", "OllamaChunk": "/api/chat"} {
		r := f.do(t, "POST", path, `{"model":"tiny","stream":true,`+map[string]string{
			"/v1/messages": `"max_tokens":9,"messages":[{"role":"user","content":"?"}]}`, "/v1/responses": `"input":"?"}`,
		}[path]+map[bool]string{true: `"messages":[{"role":"user","content":"?"}]}`}[path != "/v1/messages" && path != "/v1/responses"])
		kind, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
		all := bodies(kind, r.body)
		for i, data := range all {
			err := d.check("/components/schemas/"+schema, data)
			if last := i == len(all)-1; last && schema == "ChatCompletionChunk" {
				err = d.check("/components/schemas/Error", data)
			} else if last && schema == "OllamaChunk" {
				err = d.check("/components/schemas/OllamaError", data)
			}
			if err != nil {
				t.Errorf("%s: %s: %v", path, data, err)
			}
		}
	}
	f.gate.drain()
	for path, methods := range d.paths {
		for method, op := range methods {
			if op.RequestBody == nil && path != "/readyz" && path != "/health" {
				continue
			}
			method = strings.ToUpper(method)
			if r := f.do(t, method, path, "{}"); r.status != 503 {
				t.Errorf("%s %s of a server that drains: %d", method, path, r.status)
			} else if err := d.checkAnswer(path, method, r); err != nil {
				t.Errorf("%s %s: %v", method, path, err)
			}
		}
	}
}

// Log-probabilities as the wire has them; the scripted engine has none.
func TestLogprobsAreWhatTheDescriptionSays(t *testing.T) {
	half := llm.TextLogprob{ID: 7, Bytes: []byte{0xe6, 0x97}, Logprob: -1.5}
	tokens := []llm.TextLogprob{{ID: 5, Bytes: []byte("a"), Logprob: float32(math.Inf(-1)), Top: []llm.TextLogprob{half}}, half}
	first := llm.TextLogprob{Bytes: []byte("b"), Logprob: float32(math.NaN())}
	for schema, v := range map[string]any{
		"Logprobs": wireLogprobs(tokens), "ReasoningLogprobs": wireThought(tokens),
		"TextLogprobs":   (&textPlace{}).logprobs(append([]llm.TextLogprob{first}, tokens...)),
		"PromptLogprobs": wirePrompt([]llm.PromptTextLogprob{{TextLogprob: first}, {TextLogprob: tokens[0], Rank: 3}}),
	} {
		data, err := json.Marshal(v)
		if err == nil {
			err = describedAPI(t).check("/components/schemas/"+schema, data)
		}
		if err != nil {
			t.Errorf("%s: %s: %v", schema, data, err)
		}
	}
}
