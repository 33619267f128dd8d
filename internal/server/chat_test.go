package server

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
)

func decode(t *testing.T, body string) *openai.ChatRequest {
	t.Helper()
	wire, err := openai.DecodeChat([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// Every member of a request arrives in the pipeline, over the model's defaults.
func TestRequestsReachThePipelineWhole(t *testing.T) {
	m := &pipeline.Model{Defaults: llm.SamplingParams{Temperature: 0.6, TopP: 0.95, TopK: 20, RepetitionPenalty: 1.05, MaxTokens: 100}}
	got := chatRequest(m, decode(t, ask(`"temperature":0.5`, `"top_p":0.9`, `"top_k":40`, `"min_p":0.1`, `"presence_penalty":-2`, `"frequency_penalty":2`, `"repetition_penalty":1.1`,
		`"logit_bias":{"5":-100}`, `"seed":-1`, `"n":3`, `"max_tokens":9`, `"max_completion_tokens":7`, `"min_tokens":2`, `"stop":["a","b"]`, `"stop_token_ids":[0,9]`, `"ignore_eos":true`,
		`"include_stop_str_in_output":true`, `"skip_special_tokens":false`, `"stream":true`, `"separate_reasoning":false`, `"chat_template_kwargs":{"k":1}`, `"cache_salt":"s"`, `"priority":-3`,
		`"reasoning_effort":"low"`, `"thinking":{"type":"adaptive"}`, `"add_generation_prompt":false`, `"tools":[{"type":"function","function":{"name":"f"}}]`)), "tenant")
	seed, think := ^uint64(0), true
	want := &pipeline.Request{
		Think: &think, Effort: "low", Adaptive: true,
		ID: got.ID, N: 3, Seed: &seed, Stop: []string{"a", "b"}, IncludeStop: true, KeepSpecial: true, StreamReasoning: true, Tenant: "tenant", Salt: "s", Priority: -3,
		Chat: llm.Chat{
			Messages: json.RawMessage(`[{"role":"user","content":"What is it?"}]`), Tools: json.RawMessage(`[{"type":"function","function":{"name":"f"}}]`),
			Kwargs: map[string]json.RawMessage{"k": json.RawMessage("1")},
		},
		Sampling: llm.SamplingParams{
			Temperature: 0.5, TopP: 0.9, TopK: 40, MinP: 0.1, PresencePenalty: -2, FrequencyPenalty: 2, RepetitionPenalty: 1.1, LogitBias: map[int32]float32{5: -100},
			MaxTokens: 7, MinTokens: 2, StopIDs: []int32{0, 9}, IgnoreEOS: true,
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	plain := chatRequest(m, decode(t, ask()), "")
	if !reflect.DeepEqual(plain.Sampling, m.Defaults) || plain.N != 1 || plain.Seed != nil || !plain.SeparateReasoning || !plain.Chat.AddGenerationPrompt {
		t.Errorf("defaults: %+v", plain)
	}
}
