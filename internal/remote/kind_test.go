package remote

import (
	"encoding/json"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/llm"
)

// kindCase is one upstream as its documentation describes it: what it must be
// sent, and how its answer looks.
type kindCase struct {
	kind   string
	source string // where this is documented
	mode   Mode
	sent   string // members that must be sent, beside model, stream and stream_options
	frames []string
	want   map[llm.Channel]string
	ids    []int32
	finish llm.Finish
	tokens int
}

const (
	vllmChat     = "vLLM 0.33 vllm/entrypoints/openai/chat_completion/protocol.py: reasoning in delta.reasoning, no switch per request, stop_reason, continuous_usage_stats"
	vllmText     = "vLLM 0.33 vllm/entrypoints/openai/completion/protocol.py: return_token_ids, return_tokens_as_token_ids, add_special_tokens"
	sglangChat   = "SGLang docs advanced_features/separate_reasoning and openai/protocol.py: separate_reasoning=false leaves the raw text in content; matched_stop"
	sglangText   = "SGLang openai/protocol.py CompletionRequest: return_token_ids, token_ids of each choice"
	lightllmChat = "LightLLM lightllm/server/api_models.py and api_openai.py: separate_reasoning=false joins without tags; delta.reasoning beside reasoning_content null"
	lmdeployChat = "LMDeploy lmdeploy/serve/openai/protocol.py: reasoning_content, gen_tokens, finish_reason error"
	llamaChat    = "llama.cpp tools/server/README.md: reasoning_format none outputs the raw generated text, parse_tool_calls"
	ollamaChat   = "Ollama openai/openai.go ChunkChoice: delta.reasoning, finish in a chunk with an empty delta"
	openaiChat   = "OpenAI API reference, chat/streaming; api-docs.deepseek.com: reasoning_content in the delta"
	reasondChat  = "api/openai of this program: reasoning_content and reasoning carry the same text"
)

var kindCases = []kindCase{
	{
		kind: "vllm", source: vllmChat,
		sent: `{"skip_special_tokens":false,"spaces_between_special_tokens":false}`,
		frames: []string{
			`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":5,"total_tokens":5,"completion_tokens":0}}`,
			`{"choices":[{"index":0,"delta":{"reasoning":"let me"},"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":5,"total_tokens":7,"completion_tokens":2}}`,
			`{"choices":[{"index":0,"delta":{"reasoning":" see","content":"It is "},"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":5,"total_tokens":10,"completion_tokens":5}}`,
			`{"choices":[{"index":0,"delta":{"content":"4"},"logprobs":null,"finish_reason":"stop","stop_reason":151643}],"usage":{"prompt_tokens":5,"total_tokens":12,"completion_tokens":7}}`,
			`{"choices":[],"usage":{"prompt_tokens":5,"total_tokens":12,"completion_tokens":7}}`,
		},
		want:   map[llm.Channel]string{llm.ChannelReasoning: "let me see", llm.ChannelContent: "It is 4"},
		finish: llm.Finish{Reason: llm.FinishStop, StopID: 151643, Usage: &llm.Usage{Prompt: 5, Completion: 7}}, tokens: 7,
	},
	{
		kind: "vllm", source: vllmText, mode: Completions,
		sent: `{"prompt":[1,2,3],"max_tokens":100,"skip_special_tokens":false,"spaces_between_special_tokens":false,"add_special_tokens":false,"return_token_ids":true}`,
		frames: []string{
			`{"id":"cmpl-1","object":"text_completion","choices":[{"index":0,"text":"","logprobs":null,"finish_reason":null,"prompt_token_ids":[1,2,3],"token_ids":[9]}],"usage":{"prompt_tokens":3,"total_tokens":4,"completion_tokens":1}}`,
			`{"choices":[{"index":0,"text":"🙂","logprobs":null,"finish_reason":null,"stop_reason":null,"token_ids":[10,11]}]}`,
			`{"choices":[{"index":0,"text":"","logprobs":null,"finish_reason":"stop","stop_reason":null,"token_ids":[2]}]}`,
			`{"choices":[],"usage":{"prompt_tokens":3,"total_tokens":7,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2}}}`,
		},
		want: map[llm.Channel]string{}, ids: []int32{9, 10, 11, 2},
		finish: llm.Finish{Reason: llm.FinishStop, StopID: 2, Cached: 2, Usage: &llm.Usage{Prompt: 3, Cached: 2, Completion: 4}},
	},
	{
		kind: "sglang", source: sglangChat,
		sent: `{"separate_reasoning":false,"skip_special_tokens":false}`,
		frames: []string{
			`{"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}`,
			`{"choices":[{"index":0,"delta":{"role":null,"content":"so</thi","reasoning_content":null,"tool_calls":null},"finish_reason":null,"matched_stop":null}],"usage":null}`,
			`{"choices":[{"index":0,"delta":{"role":null,"content":"nk>yes","reasoning_content":null,"tool_calls":null},"finish_reason":null,"matched_stop":null}],"usage":null}`,
			`{"choices":[{"index":0,"delta":{"role":null,"content":null,"reasoning_content":null,"tool_calls":null},"finish_reason":"stop","matched_stop":151645}],"usage":null}`,
			`{"choices":[],"usage":{"prompt_tokens":4,"total_tokens":9,"completion_tokens":5,"prompt_tokens_details":null,"reasoning_tokens":2}}`,
		},
		want:   map[llm.Channel]string{llm.ChannelRaw: "so</think>yes"},
		finish: llm.Finish{Reason: llm.FinishStop, StopID: 151645, Usage: &llm.Usage{Prompt: 4, Completion: 5, Reasoning: 2}},
	},
	{
		kind: "sglang", source: sglangText, mode: Completions,
		sent: `{"prompt":[1,2,3],"max_tokens":100,"skip_special_tokens":false,"return_token_ids":true}`,
		frames: []string{
			`{"object":"text_completion","choices":[{"index":0,"text":"a","logprobs":null,"finish_reason":null,"matched_stop":null,"token_ids":[7]}],"usage":null}`,
			`{"choices":[{"index":0,"text":"","finish_reason":"length","matched_stop":null,"token_ids":[8]}],"usage":null}`,
		},
		want: map[llm.Channel]string{}, ids: []int32{7, 8},
		finish: llm.Finish{Reason: llm.FinishLength, StopID: -1},
	},
	{
		kind: "lightllm", source: lightllmChat,
		sent: `{"separate_reasoning":true,"stream_reasoning":true}`,
		frames: []string{
			`{"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":null,"reasoning":"hm","reasoning_content":null},"finish_reason":null}],"usage":null}`,
			`{"choices":[{"index":0,"delta":{"role":"assistant","content":"ok","tool_calls":null,"reasoning":null,"reasoning_content":null},"finish_reason":null}],"usage":null}`,
			`{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"length"}],"usage":null}`,
			`{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`,
		},
		want:   map[llm.Channel]string{llm.ChannelReasoning: "hm", llm.ChannelContent: "ok"},
		finish: llm.Finish{Reason: llm.FinishLength, StopID: -1, Usage: &llm.Usage{Prompt: 1, Completion: 2}},
	},
	{
		kind: "lmdeploy", source: lmdeployChat,
		sent: `{"skip_special_tokens":false,"spaces_between_special_tokens":false}`,
		frames: []string{
			`{"choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":"hm","gen_tokens":null,"tool_calls":[]},"logprobs":null,"finish_reason":null}],"usage":null}`,
			`{"choices":[{"index":0,"delta":{"role":"assistant","content":"ok","reasoning_content":null,"gen_tokens":null,"tool_calls":[]},"logprobs":null,"finish_reason":"stop"}],"usage":null}`,
			`{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`,
		},
		want:   map[llm.Channel]string{llm.ChannelReasoning: "hm", llm.ChannelContent: "ok"},
		finish: llm.Finish{Reason: llm.FinishStop, StopID: -1, Usage: &llm.Usage{Prompt: 1, Completion: 2}},
	},
	{
		kind: "llama-server", source: llamaChat,
		sent: `{"reasoning_format":"none","parse_tool_calls":false}`,
		frames: []string{
			`{"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1,"id":"chatcmpl-x","model":"m","object":"chat.completion.chunk"}`,
			`{"choices":[{"finish_reason":null,"index":0,"delta":{"content":"<think>a"}}]}`,
			`{"choices":[{"finish_reason":null,"index":0,"delta":{"content":"</think>b"}}]}`,
			`{"choices":[{"finish_reason":"stop","index":0,"delta":{}}]}`,
			`{"choices":[],"usage":{"completion_tokens":4,"prompt_tokens":3,"total_tokens":7},"timings":{"cache_n":2,"prompt_n":1}}`,
		},
		want:   map[llm.Channel]string{llm.ChannelRaw: "<think>a</think>b"},
		finish: llm.Finish{Reason: llm.FinishStop, StopID: -1, Cached: 2, Usage: &llm.Usage{Prompt: 3, Cached: 2, Completion: 4}},
	},
	{
		kind: "ollama", source: ollamaChat, sent: `{}`,
		frames: []string{
			`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"hm"},"finish_reason":null}]}`,
			`{"choices":[{"index":0,"delta":{"role":"assistant","content":"a </think> b"},"finish_reason":null}]}`,
			`{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]}`,
			`{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}`,
		},
		want:   map[llm.Channel]string{llm.ChannelReasoning: "hm", llm.ChannelContent: "a </think> b"},
		finish: llm.Finish{Reason: llm.FinishStop, StopID: -1, Usage: &llm.Usage{Prompt: 3, Completion: 4}},
	},
	{
		kind: "openai", source: openaiChat, sent: `{}`,
		frames: []string{
			`{"choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":"hm"},"logprobs":null,"finish_reason":null}]}`,
			`{"choices":[{"index":0,"delta":{"content":null,"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}]}`,
			`{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`,
			`{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"completion_tokens_details":{"reasoning_tokens":1}}}`,
		},
		want: map[llm.Channel]string{llm.ChannelReasoning: "hm",
			llm.ChannelTool: `{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}}`},
		finish: llm.Finish{Reason: llm.FinishToolCalls, StopID: -1, Usage: &llm.Usage{Prompt: 3, Completion: 4, Reasoning: 1}},
	},
	{
		kind: "openai", source: openaiChat + "; two names for one text count once", sent: `{}`,
		frames: []string{
			`{"choices":[{"index":0,"delta":{"reasoning_content":"hm","reasoning":"hm"}}]}`,
			`{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"content_filter"}]}`,
		},
		want:   map[llm.Channel]string{llm.ChannelReasoning: "hm", llm.ChannelContent: "x"},
		finish: llm.Finish{Reason: "content_filter", StopID: -1},
	},
	{
		kind: "reasond", source: reasondChat,
		sent: `{"separate_reasoning":false,"skip_special_tokens":false}`,
		frames: []string{
			`{"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]}`,
			`{"choices":[{"index":0,"delta":{"content":"<think>a</think>"},"finish_reason":null}]}`,
			`{"choices":[{"index":0,"delta":{},"finish_reason":"stop","matched_stop":"END"}]}`,
		},
		want:   map[llm.Channel]string{llm.ChannelRaw: "<think>a</think>"},
		finish: llm.Finish{Reason: llm.FinishStop, StopID: -1, StopText: "END"},
	},
}

func TestEachKindIsAskedAndReadAsItsDocumentationSays(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range kindCases {
		seen[c.kind] = true
		t.Run(c.kind+"/"+[]string{"chat", "completions"}[c.mode], func(t *testing.T) {
			tw := newTwin(t, says(sse(c.frames...)))
			e := newEngine(t, Config{BaseURL: tw.URL + "/v1/", Kind: c.kind, Mode: c.mode, EOS: []int32{2}})
			req := chatRequest(1)
			if c.mode == Completions {
				req = textRequest(1)
			}
			a := ask(t, e, req)[0]
			checkSent(t, tw, c)
			for channel := llm.ChannelRaw; channel <= llm.ChannelTool; channel++ {
				if a.text[channel] != c.want[channel] {
					t.Errorf("%s: channel %d has %q, want %q", c.source, channel, a.text[channel], c.want[channel])
				}
			}
			if !slices.Equal(a.ids, c.ids) || a.tokens != c.tokens {
				t.Errorf("%s: ids %v, %d tokens counted; want %v, %d", c.source, a.ids, a.tokens, c.ids, c.tokens)
			}
			got, want := a.finish[0], c.finish
			if g, w := show(got.Usage), show(want.Usage); g != w {
				t.Errorf("%s: usage %s, want %s", c.source, g, w)
			}
			if got.Usage, want.Usage = nil, nil; got != want {
				t.Errorf("%s: finish %+v, want %+v", c.source, got, want)
			}
		})
	}
	for _, name := range Kinds() {
		if !seen[name] {
			t.Errorf("kind %s has no twin", name)
		}
	}
}

func show(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func checkSent(t *testing.T, tw *twin, c kindCase) {
	t.Helper()
	var want map[string]any
	if err := json.Unmarshal([]byte(c.sent), &want); err != nil {
		t.Fatal(err)
	}
	want["model"], want["stream"] = "m", true
	options := map[string]any{"include_usage": true}
	if c.kind == "vllm" || c.kind == "sglang" {
		options["continuous_usage_stats"] = true
	}
	want["stream_options"] = options
	path := "/v1/completions"
	if c.mode == Chat {
		path = "/v1/chat/completions"
		want["messages"] = []any{map[string]any{"role": "user", "content": "hi"}}
	}
	if got := show(tw.body(t)); got != show(want) {
		t.Errorf("%s: sent\n%s, want\n%s", c.source, got, show(want))
	}
	if tw.paths[0] != path {
		t.Errorf("asked %s", tw.paths[0])
	}
}

func TestRawTextIsRawUntilTheUpstreamHasSplitOnce(t *testing.T) {
	script := sse(chunk(0, "a"), end(0, "stop"))
	split := sse(`{"choices":[{"index":0,"delta":{"reasoning":"r"}}]}`, chunk(0, "a"), end(0, "stop"))
	answers := []string{script, split, script}
	var tw *twin
	tw = newTwin(t, nil)
	tw.Config.Handler = says("")
	for _, c := range []struct {
		parsing Parsing
		want    []llm.Channel
	}{
		{ParsingAuto, []llm.Channel{llm.ChannelRaw, llm.ChannelContent, llm.ChannelContent}},
		{ParsingRaw, []llm.Channel{llm.ChannelRaw, llm.ChannelRaw, llm.ChannelRaw}},
		{ParsingSplit, []llm.Channel{llm.ChannelContent, llm.ChannelContent, llm.ChannelContent}},
	} {
		e := newEngine(t, Config{BaseURL: tw.URL, Kind: "vllm", Parsing: c.parsing})
		for i, text := range answers {
			tw.Config.Handler = says(text)
			if a := ask(t, e, chatRequest(1))[0]; a.text[c.want[i]] != "a" {
				t.Errorf("parsing %d, answer %d: %v", c.parsing, i, a.text)
			}
		}
	}
}

// params are all parameters, each with a value that has an effect.
var params = map[string]func(*llm.Request){
	"temperature":            func(r *llm.Request) { r.Sampling.Temperature = 0.5 },
	"top_p":                  func(r *llm.Request) { r.Sampling.TopP = 0.5 },
	"top_k":                  func(r *llm.Request) { r.Sampling.TopK = 7 },
	"min_p":                  func(r *llm.Request) { r.Sampling.MinP = 0.5 },
	"presence_penalty":       func(r *llm.Request) { r.Sampling.PresencePenalty = 0.5 },
	"frequency_penalty":      func(r *llm.Request) { r.Sampling.FrequencyPenalty = 0.5 },
	"repetition_penalty":     func(r *llm.Request) { r.Sampling.RepetitionPenalty = 1.5 },
	"max_tokens":             func(r *llm.Request) { r.Sampling.MaxTokens = 7 },
	"min_tokens":             func(r *llm.Request) { r.Sampling.MinTokens = 7 },
	"seed":                   func(r *llm.Request) { r.Sampling.Seed, r.Sampling.Seeded = math.MaxUint64, true },
	"stop_token_ids":         func(r *llm.Request) { r.Sampling.StopIDs = []int32{7} },
	"ignore_eos":             func(r *llm.Request) { r.Sampling.IgnoreEOS = true },
	"logit_bias":             func(r *llm.Request) { r.Sampling.LogitBias = map[int32]float32{7: -1} },
	"logprobs":               func(r *llm.Request) { r.Sampling.Logprobs, r.Sampling.TopLogprobs = true, 2 },
	"priority":               func(r *llm.Request) { r.Priority = 1 },
	"cache_salt":             func(r *llm.Request) { r.Salt = "s" },
	"n":                      func(r *llm.Request) { r.N = 2 },
	"continue_final_message": func(r *llm.Request) { chat(r).ContinueFinalMessage = true; chat(r).AddGenerationPrompt = false },
	"add_generation_prompt":  func(r *llm.Request) { chat(r).AddGenerationPrompt = false },
	"chat_template_kwargs": func(r *llm.Request) {
		chat(r).Kwargs = map[string]json.RawMessage{"custom": json.RawMessage(`1`)}
	},
	"response_format": func(r *llm.Request) { r.Guide = func(int) llm.Guide { return nil } },
}

func chat(r *llm.Request) *llm.Chat {
	if r.Prompt.Chat == nil {
		return &llm.Chat{} // a completion has none of it
	}
	return r.Prompt.Chat
}

// cannot lists what each endpoint cannot do, from the sources in kindCases.
var cannot = map[string]string{
	"vllm/chat":                "response_format",
	"vllm/completions":         "response_format",
	"sglang/chat":              "response_format priority add_generation_prompt",
	"sglang/completions":       "response_format priority",
	"lightllm/chat":            "response_format priority cache_salt n min_p min_tokens stop_token_ids logit_bias logprobs continue_final_message add_generation_prompt",
	"lightllm/completions":     "response_format priority cache_salt n min_p min_tokens stop_token_ids logit_bias",
	"lmdeploy/chat":            "response_format priority cache_salt n presence_penalty frequency_penalty stop_token_ids continue_final_message add_generation_prompt",
	"lmdeploy/completions":     "response_format priority cache_salt n presence_penalty frequency_penalty stop_token_ids min_tokens logit_bias",
	"llama-server/chat":        "response_format priority cache_salt n min_tokens stop_token_ids continue_final_message add_generation_prompt",
	"llama-server/completions": "response_format priority cache_salt n min_tokens stop_token_ids",
	"ollama/chat":              "response_format priority cache_salt n top_k min_p min_tokens repetition_penalty stop_token_ids ignore_eos logit_bias continue_final_message add_generation_prompt chat_template_kwargs",
	"openai/chat":              "response_format priority cache_salt top_k min_p min_tokens repetition_penalty stop_token_ids ignore_eos continue_final_message add_generation_prompt chat_template_kwargs",
	"openai/completions":       "response_format priority cache_salt top_k min_p min_tokens repetition_penalty stop_token_ids ignore_eos",
	"reasond/chat":             "response_format priority logprobs",
	"reasond/completions":      "response_format priority logprobs",
}

func TestAParameterIsEitherSentOrRefusedByName(t *testing.T) {
	for endpoint, list := range cannot {
		kind, mode, _ := strings.Cut(endpoint, "/")
		cfg := Config{BaseURL: "http://up", Kind: kind, Model: "m"}
		if mode == "completions" {
			cfg.Mode = Completions
		}
		e := newEngine(t, cfg)
		base := func() *llm.Request {
			if cfg.Mode == Completions {
				r := textRequest(1)
				if !e.kind.ids {
					r.Prompt = llm.Prompt{Text: "p"}
				}
				return r
			}
			return chatRequest(1)
		}
		plain, err := e.encode(base())
		if err != nil {
			t.Fatal(err)
		}
		for name, set := range params {
			req := base()
			set(req)
			body, err := e.encode(req)
			var refused *llm.Error
			if slices.Contains(strings.Fields(list), name) {
				if refused, _ = err.(*llm.Error); refused == nil || refused.Kind != llm.Unsupported || refused.Param != name {
					t.Errorf("%s: %s is not refused by name: %v", endpoint, name, err)
				}
				continue
			}
			chatOnly := name == "continue_final_message" || name == "add_generation_prompt" || name == "chat_template_kwargs"
			if err != nil || string(body) == string(plain) && !(chatOnly && cfg.Mode == Completions) {
				t.Errorf("%s: %s is not sent: %s, %v", endpoint, name, body, err)
			}
		}
	}
}

func TestWhatNobodyGaveIsNotSentAndOffIsSaidInTheUpstreamsWay(t *testing.T) {
	for kind, off := range map[string]string{
		"vllm":         `{"frequency_penalty":0,"min_p":0,"presence_penalty":0,"repetition_penalty":1,"temperature":0,"top_k":0,"top_p":1}`,
		"sglang":       `{"frequency_penalty":0,"min_p":0,"presence_penalty":0,"repetition_penalty":1,"temperature":0,"top_k":-1,"top_p":1}`,
		"lightllm":     `{"do_sample":false,"frequency_penalty":0,"presence_penalty":0,"repetition_penalty":1,"temperature":0,"top_k":-1,"top_p":1}`,
		"lmdeploy":     `{"min_p":0,"repetition_penalty":1,"temperature":0,"top_k":0,"top_p":1}`,
		"llama-server": `{"frequency_penalty":0,"min_p":0,"presence_penalty":0,"repeat_last_n":-1,"repeat_penalty":1,"temperature":0,"top_k":0,"top_p":1}`,
		"ollama":       `{"frequency_penalty":0,"presence_penalty":0,"temperature":0,"top_p":1}`,
		"openai":       `{"frequency_penalty":0,"presence_penalty":0,"temperature":0,"top_p":1}`,
	} {
		e := newEngine(t, Config{BaseURL: "http://up", Kind: kind, Model: "m"})
		unset, err := e.encode(chatRequest(1))
		if err != nil {
			t.Fatal(err)
		}
		req := chatRequest(1)
		req.Sampling = llm.DefaultSampling()
		req.Sampling.Temperature = 0
		set, err := e.encode(req)
		if err != nil {
			t.Fatal(err)
		}
		var before, after map[string]any
		_, _ = json.Unmarshal(unset, &before), json.Unmarshal(set, &after)
		for name := range before {
			delete(after, name)
		}
		if got := show(after); got != off {
			t.Errorf("%s: neutral values are sent as %s, want %s", kind, got, off)
		}
	}
}

func TestValuesArriveAsTheyWereGiven(t *testing.T) {
	e := newEngine(t, Config{BaseURL: "http://up", Kind: "vllm", Model: "m"})
	req := chatRequest(3)
	for name, set := range params {
		if name != "n" && name != "response_format" && name != "continue_final_message" && name != "add_generation_prompt" {
			set(req)
		}
	}
	c := req.Prompt.Chat
	c.Messages = json.RawMessage(`[{"role":"user","content":"a\u00e9<>&","z":1,"b":2}]`)
	c.Tools = json.RawMessage(`[{"type":"function","function":{"z":1,"a":2}}]`)
	c.Kwargs["reasoning_effort"] = json.RawMessage(`"low"`)
	body, err := e.encode(req)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"z":1,"b":2`, `"tool_choice":"none"`, `"function":{"z":1,"a":2}`, `"chat_template_kwargs":{"custom":1,"reasoning_effort":"low"}`, `"reasoning_effort":"low","`,
		`"logit_bias":{"7":-1}`, `"logprobs":true`, `"top_logprobs":2`, `"seed":-1`, `"n":3`, `"stop_token_ids":[7]`, `"temperature":0.5`,
		`"repetition_penalty":1.5`, `"max_tokens":7`, `"min_tokens":7`, `"ignore_eos":true`, `"priority":1`, `"cache_salt":"`,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%s is missing in %s", want, body)
		}
	}
}

func TestTenantsDoNotShareASalt(t *testing.T) {
	e := newEngine(t, Config{BaseURL: "http://up", Kind: "sglang", Model: "m"})
	seen := map[string]string{}
	for _, c := range [][2]string{{"", ""}, {"a", ""}, {"b", ""}, {"a", "s"}, {"b", "s"}, {"", "s"}, {"as", ""}} {
		req := chatRequest(1)
		req.Tenant, req.Salt = c[0], c[1]
		raw, err := e.encode(req)
		if err != nil {
			t.Fatal(err)
		}
		var body struct {
			Salt string `json:"cache_salt"`
		}
		_ = json.Unmarshal(raw, &body)
		if other, ok := seen[body.Salt]; ok {
			t.Errorf("%v has the salt of %s", c, other)
		}
		seen[body.Salt] = show(c)
		if (body.Salt == "") != (c == [2]string{}) || c[0] != "" && strings.Contains(body.Salt, c[0]+"s") {
			t.Errorf("%v: salt %q", c, body.Salt)
		}
	}
}

func TestSwitchesReachAnUpstreamWithoutTemplateOptionsAsEffort(t *testing.T) {
	for kwargs, want := range map[string]any{
		`{"enable_thinking":false}`:                             "none",
		`{"thinking":false,"enable_thinking":false}`:            "none",
		`{"enable_thinking":true}`:                              nil,
		`{"reasoning_effort":"high","enable_thinking":true}`:    "high",
		`{"reasoning_effort":"none","enable_thinking":false}`:   "none",
		`{"reasoning_effort":"high","thinking":false}`:          "none",
		`{"reasoning_effort":"minimal","enable_thinking":true}`: "minimal",
	} {
		e := newEngine(t, Config{BaseURL: "http://up", Kind: "ollama", Model: "m"})
		req := chatRequest(1)
		if err := json.Unmarshal([]byte(kwargs), &req.Prompt.Chat.Kwargs); err != nil {
			t.Fatal(err)
		}
		raw, err := e.encode(req)
		var body map[string]any
		_ = json.Unmarshal(raw, &body)
		if err != nil || body["reasoning_effort"] != want || body["chat_template_kwargs"] != nil {
			t.Errorf("%s: %s, %v", kwargs, raw, err)
		}
	}
}

func TestAPromptOfTheWrongFormIsRefused(t *testing.T) {
	for _, c := range []struct {
		kind string
		mode Mode
		p    llm.Prompt
	}{
		{"vllm", Chat, llm.Prompt{Text: "x"}},
		{"vllm", Chat, llm.Prompt{IDs: []int32{1}}},
		{"vllm", Completions, llm.Prompt{Chat: &llm.Chat{}}},
		{"lmdeploy", Completions, llm.Prompt{IDs: []int32{1}}},
		{"vllm", Completions, llm.Prompt{}},
	} {
		e := newEngine(t, Config{BaseURL: "http://up", Kind: c.kind, Mode: c.mode, Model: "m"})
		req := textRequest(1)
		req.Prompt = c.p
		if _, err := e.encode(req); err == nil {
			t.Errorf("%+v was taken", c)
		}
		caps := e.Caps()
		if caps.Chat != (c.mode == Chat) || caps.Text != (c.mode == Completions) || caps.IDs != (c.mode == Completions && c.kind == "vllm") {
			t.Errorf("%+v: caps are %+v", c, caps)
		}
	}
	e := newEngine(t, Config{BaseURL: "http://up", Kind: "vllm", Mode: Completions, Model: "m"})
	req := textRequest(1)
	req.Sampling.MaxTokens = 0
	if _, err := e.encode(req); llm.KindOf(err) != llm.Invalid {
		t.Errorf("16 tokens by default: %v", err)
	}
}

func TestLogprobsInEveryShape(t *testing.T) {
	for name, c := range map[string]struct{ frame, want string }{
		"chat":           {`{"content":[{"token":"a","bytes":[97],"logprob":-0.5,"top_logprobs":[{"token":"a","bytes":[97],"logprob":-0.5},{"token":"é","bytes":null,"logprob":-1}]}]}`, `[{"ID":-1,"Logprob":-0.5,"Text":"a","Top":[{"ID":-1,"Logprob":-0.5,"Text":"a"},{"ID":-1,"Logprob":-1,"Text":"é"}]}]`},
		"half of a rune": {`{"content":[{"token":"\ufffd","bytes":[195],"logprob":-0.5,"top_logprobs":[]}]}`, "[{\"ID\":-1,\"Logprob\":-0.5,\"Text\":\"\\ufffd\",\"Top\":null}]"},
		"completions":    {`{"tokens":["a","b"],"token_logprobs":[null,-2],"top_logprobs":[null,{"c":-3,"b":-2}],"text_offset":[0,1]}`, `[{"ID":-1,"Logprob":-2,"Text":"b","Top":[{"ID":-1,"Logprob":-2,"Text":"b"},{"ID":-1,"Logprob":-3,"Text":"c"}]}]`},
		"vLLM's ids":     {`{"tokens":["token_id:17"],"token_logprobs":[-2],"top_logprobs":[{"token_id:17":-2}]}`, `[{"ID":17,"Logprob":-2,"Text":"","Top":[{"ID":17,"Logprob":-2,"Text":""}]}]`},
		"uneven":         {`{"tokens":["a","b"],"token_logprobs":[-1]}`, `[{"ID":-1,"Logprob":-1,"Text":"a","Top":null}]`},
		"llama-server":   {`{"content":[{"id":5,"token":"a","bytes":[97],"logprob":-0.5,"top_logprobs":[{"id":5,"token":"a","bytes":[97],"logprob":-0.5}]}]}`, `[{"ID":5,"Logprob":-0.5,"Text":"a","Top":[{"ID":5,"Logprob":-0.5,"Text":"a"}]}]`},
		"one too many":   {`{"tokens":["a"],"token_logprobs":[-9],"top_logprobs":[{"b":-1,"c":-2,"a":-9}]}`, `[{"ID":-1,"Logprob":-9,"Text":"a","Top":[{"ID":-1,"Logprob":-1,"Text":"b"},{"ID":-1,"Logprob":-2,"Text":"c"}]}]`},
		"null":           {`null`, `null`},
	} {
		e := newEngine(t, Config{BaseURL: "http://up", Transport: &pieces{[]string{
			sse(`{"choices":[{"index":0,"delta":{"content":"x"},"logprobs":`+c.frame+`}]}`, end(0, "stop"))}, io.EOF}})
		req := chatRequest(1)
		req.Sampling.Logprobs, req.Sampling.TopLogprobs = true, 2
		if got := show(ask(t, e, req)[0].logprobs); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	for want, cfg := range map[string]Config{
		`unknown kind of upstream "x"`: {BaseURL: "http://h", Kind: "x"},
		"must look like http://":       {BaseURL: "h:80", Kind: "vllm"},
		"must look like":               {BaseURL: "ftp://h", Kind: "vllm"},
		"no user":                      {BaseURL: "http://u:secret@h", Kind: "vllm"},
		"its own template":             {BaseURL: "http://h", Kind: "ollama", Mode: Completions},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// llama-cpp-python's server answers an X-Request-Id that is no UUID with an
// empty 400.
func TestARequestsIDGoesOnlyToWhomItIsKnownToSuit(t *testing.T) {
	for _, kind := range Kinds() {
		tw := newTwin(t, says(sse(`{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}`)))
		s, err := newEngine(t, Config{BaseURL: tw.URL, Kind: kind}).Submit(t.Context(), chatRequest(1))
		if err != nil {
			t.Fatal(err)
		}
		collect(t, s, 1)
		logged := kind == "vllm" || kind == "sglang" || kind == "reasond"
		if id := tw.heads[0].Get("X-Request-Id"); (id != "") != logged {
			t.Errorf("%s got the id %q", kind, id)
		}
	}
}
