package e2e_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// What the built program answers with the built-in model is what it says of
// itself at /openapi.json: log-probabilities, token ids, schemas, calls, budgets.
func TestTheProgramAnswersAsItDescribesItself(t *testing.T) {
	p := start(t, "--port", "0", "--metrics-compat", "vllm")
	compiler := jsonschema.NewCompiler()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(fetch(t, p.base+"/openapi.json", "")))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiler.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	messages := `"messages":[{"role":"user","content":"What is 2+2?"}]`
	ask := messages + `,"max_tokens":60,"temperature":0`
	for _, tc := range []struct{ path, asked, schema, body string }{
		{"/v1/chat/completions", "ChatRequest", "ChatCompletion", `{` + ask + `,"logprobs":true,"top_logprobs":3,"reasoning_logprobs":true,"prompt_logprobs":2,"return_token_ids":true}`},
		{"/v1/chat/completions", "ChatRequest", "ChatCompletionChunk", `{` + ask + `,"logprobs":true,"top_logprobs":3,"reasoning_logprobs":true,"return_token_ids":true,"n":2,"stream":true,"stream_options":{"include_usage":true}}`},
		{"/v1/chat/completions", "ChatRequest", "ChatCompletion", `{` + ask + `,"thinking_token_budget":3,"reserve_answer_tokens":20,"break_reasoning_loops":true,"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}}}}`},
		{"/v1/chat/completions", "ChatRequest", "ChatCompletionChunk", `{` + ask + `,"tool_choice":"required","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}}}],"stream":true}`},
		{"/v1/completions", "CompletionRequest", "Completion", `{"prompt":"2+2","logprobs":2,"echo":true,"return_token_ids":true,"prompt_logprobs":1}`},
		{"/v1/completions", "CompletionRequest", "Completion", `{"prompt":"2+2","logprobs":0,"stream":true}`},
		{"/v1/responses", "ResponsesRequest", "Response", `{"input":"2+2","max_output_tokens":60,"include":["message.output_text.logprobs"],"top_logprobs":2}`},
		{"/v1/responses", "ResponsesRequest", "ResponseEvent", `{"input":"2+2","max_output_tokens":60,"include":["message.output_text.logprobs"],"stream":true}`},
		{"/v1/messages", "MessagesRequest", "MessageEvent", `{"model":"default",` + ask + `,"thinking":{"type":"enabled","budget_tokens":8},"stream":true}`},
		{"/api/chat", "OllamaChatRequest", "OllamaChunk", `{"model":"default",` + messages + `,"think":true,"options":{"num_predict":60}}`},
	} {
		check := func(schema string, data []byte) {
			s, err := compiler.Compile("openapi.json#/components/schemas/" + schema)
			if err != nil {
				t.Fatal(err)
			}
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
			if err == nil {
				err = s.Validate(v)
			}
			if err != nil {
				t.Errorf("%s %s: %s: %v", tc.path, schema, data, err)
			}
		}
		check(tc.asked, []byte(tc.body))
		n := 0
		for line := range strings.Lines(fetch(t, p.base+tc.path, tc.body)) {
			data, event := strings.CutPrefix(line, "data: ")
			if event && data != "[DONE]\n" || strings.HasPrefix(line, "{") {
				check(tc.schema, []byte(data))
				n++
			}
		}
		if n == 0 {
			t.Errorf("%s: nothing came", tc.path)
		}
	}
	figures := fetch(t, p.base+"/metrics", "")
	for _, line := range []string{
		`vllm:cache_config_info{block_size="`, `vllm:gpu_cache_usage_perc{engine="0",model_name="`, `vllm:request_queue_time_seconds_count{engine="0",model_name="`,
		`reasond_request_prefill_time_seconds_count{model="`, `reasond_reasoning_stops_total{model="tiny-reasoner",reasoning_stop="budget"} `,
	} {
		if !strings.Contains(figures, "\n"+line) {
			t.Errorf("/metrics has no %s", line)
		}
	}
}

// fetch gets a page, or posts a body, and returns what a success answers.
func fetch(t *testing.T, url, body string) string {
	t.Helper()
	var resp *http.Response
	var err error
	if body == "" {
		resp, err = http.Get(url)
	} else {
		resp, err = http.Post(url, "application/json", strings.NewReader(body))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s %s: %d %s %v", url, body, resp.StatusCode, got, err)
		return ""
	}
	return string(got)
}
