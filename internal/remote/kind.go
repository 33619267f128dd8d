package remote

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Parsing says whether an upstream splits reasoning from content itself.
type Parsing uint8

const (
	// ParsingAuto goes by the kind. Where the kind leaves it open, text is raw
	// until the upstream has once sent reasoning in a field of its own.
	ParsingAuto  Parsing = iota
	ParsingRaw           // the upstream's content is the model's own text
	ParsingSplit         // content is final; reasoning has a field of its own
)

// kind is what is known about one upstream server: the only place that tells
// them apart. Sources, read in November 2026: vLLM 0.33 entrypoints/openai
// (chat_completion, completion)/protocol.py; SGLang 0.5.23
// entrypoints/openai/protocol.py and its page "separate reasoning"; LightLLM
// server/api_models.py; LMDeploy serve/openai/protocol.py; llama.cpp
// tools/server/README.md; Ollama openai/openai.go.
type kind struct {
	chat, text *endpoint // text is nil where completions cannot be used, for
	noText     string    // this reason

	// parsing is what holds with the switches of chat sent.
	parsing   Parsing
	reasoning []string // its names in a delta, the first that is filled counts, and in past messages
	ids       bool     // completions take token ids as the prompt
	choices   bool     // n may be greater than 1 in a stream
	kwargs    bool     // chat_template_kwargs
	effort    bool     // reasoning_effort at the top level
	// withTools is sent where there are tools: the prompt shows them, calls stay
	// in the text.
	withTools map[string]any
	traced    bool   // takes any X-Request-Id, which its log shows; others refuse what is no UUID
	counts    bool   // stream_options.continuous_usage_stats
	topKOff   int    // the top_k that switches it off
	health    string // path that answers 200 when the server can work
	props     bool   // GET /props says how long the context is
}

// endpoint is what one of the two endpoints takes.
type endpoint struct {
	// always is sent with every request: special tokens stay in the text, and
	// the upstream's own parsing is off where there is a switch.
	always map[string]any
	// params maps our names of parameters to the upstream's. One that is absent
	// cannot be had.
	params map[string]string
}

// common are the parameters that every kind has under OpenAI's names.
const common = "temperature top_p max_tokens seed"

// takes is common and the parameters listed; a=b: our a is the upstream's b.
func takes(list string, always map[string]any) *endpoint {
	e := &endpoint{always: always, params: map[string]string{}}
	for _, name := range strings.Fields(common + " " + list) {
		ours, theirs, renamed := strings.Cut(name, "=")
		if !renamed {
			theirs = ours
		}
		e.params[ours] = theirs
	}
	return e
}

const penalties = "presence_penalty frequency_penalty "

var kinds = map[string]kind{
	// vLLM has no switch per request for its parser (include_reasoning=false
	// throws reasoning away), so its text may come split. Completions are never
	// parsed.
	"vllm": {
		chat: takes(penalties+"repetition_penalty top_k min_p min_tokens stop_token_ids ignore_eos logit_bias logprobs priority cache_salt add_generation_prompt continue_final_message",
			map[string]any{"skip_special_tokens": false, "spaces_between_special_tokens": false}),
		text: takes(penalties+"repetition_penalty top_k min_p min_tokens stop_token_ids ignore_eos logit_bias logprobs priority cache_salt",
			map[string]any{
				"skip_special_tokens": false, "spaces_between_special_tokens": false,
				"add_special_tokens": false, // our template has written them
				"return_token_ids":   true, "return_tokens_as_token_ids": true,
			}),
		reasoning: []string{"reasoning", "reasoning_content"},
		withTools: map[string]any{"tool_choice": "none"}, // a server without a tool parser refuses auto
		ids:       true, choices: true, kwargs: true, effort: true, traced: true, counts: true, health: "/health",
	},
	"sglang": {
		chat: takes(penalties+"repetition_penalty top_k min_p min_tokens stop_token_ids ignore_eos logit_bias logprobs cache_salt continue_final_message",
			map[string]any{"separate_reasoning": false, "skip_special_tokens": false}),
		text: takes(penalties+"repetition_penalty top_k min_p min_tokens stop_token_ids ignore_eos logit_bias logprobs cache_salt",
			map[string]any{"skip_special_tokens": false, "return_token_ids": true}),
		parsing: ParsingRaw, reasoning: []string{"reasoning_content", "reasoning"},
		ids: true, choices: true, kwargs: true, effort: true, traced: true, counts: true, topKOff: -1, health: "/health",
	},
	// LightLLM with separate_reasoning=false runs its parser all the same and
	// joins both parts without the tags: nothing could be split any more. So it
	// is left on, and its split is passed on.
	"lightllm": {
		chat: takes(penalties+"repetition_penalty top_k ignore_eos do_sample",
			map[string]any{"separate_reasoning": true, "stream_reasoning": true}),
		text:      takes(penalties+"repetition_penalty top_k ignore_eos do_sample logprobs", nil),
		reasoning: []string{"reasoning", "reasoning_content"},
		ids:       true, kwargs: true, effort: true, topKOff: -1, health: "/health",
	},
	// LMDeploy's parser is chosen at its start and has no switch. It knows no
	// presence and frequency penalty, and a completion's prompt is text.
	"lmdeploy": {
		chat: takes("repetition_penalty top_k min_p min_tokens=min_new_tokens ignore_eos logit_bias logprobs",
			map[string]any{"skip_special_tokens": false, "spaces_between_special_tokens": false}),
		text: takes("repetition_penalty top_k min_p ignore_eos logprobs",
			map[string]any{"skip_special_tokens": false, "spaces_between_special_tokens": false, "return_token_ids": true}),
		reasoning: []string{"reasoning_content", "reasoning"},
		kwargs:    true, effort: true, health: "/health",
	},
	"llama-server": {
		chat: takes(penalties+"repetition_penalty=repeat_penalty top_k min_p ignore_eos logit_bias logprobs",
			map[string]any{"reasoning_format": "none", "parse_tool_calls": false}),
		text:    takes(penalties+"repetition_penalty=repeat_penalty top_k min_p ignore_eos logit_bias logprobs", nil),
		parsing: ParsingRaw, reasoning: []string{"reasoning_content"},
		ids: true, kwargs: true, health: "/health", props: true,
	},
	// Ollama always splits, and wraps a completion's prompt in its own template.
	"ollama": {
		chat:    takes(penalties+"logprobs", nil),
		noText:  "Ollama puts the prompt of a completion into its own template",
		parsing: ParsingSplit, reasoning: []string{"reasoning", "thinking", "reasoning_content"},
		effort: true, health: "/api/version",
	},
	// Any other server: nothing but what OpenAI's API defines is sent.
	"openai": {
		chat:      takes(penalties+"logit_bias logprobs", nil),
		text:      takes(penalties+"logit_bias logprobs", nil),
		reasoning: []string{"reasoning_content", "reasoning", "thinking"},
		choices:   true, effort: true, health: "/v1/models",
	},
	// Another instance of this program.
	"reasond": {
		chat: takes(penalties+"repetition_penalty top_k min_p min_tokens stop_token_ids ignore_eos logit_bias cache_salt add_generation_prompt continue_final_message",
			map[string]any{"separate_reasoning": false, "skip_special_tokens": false}),
		text: takes(penalties+"repetition_penalty top_k min_p min_tokens stop_token_ids ignore_eos logit_bias cache_salt",
			map[string]any{"skip_special_tokens": false}),
		parsing: ParsingRaw, reasoning: []string{"reasoning_content", "reasoning"},
		ids: true, choices: true, kwargs: true, effort: true, traced: true, topKOff: -1, health: "/readyz",
	},
}

// Kinds are the names that Config.Kind takes, in order.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

func lookup(name string) (kind, error) {
	k, ok := kinds[name]
	if !ok {
		return kind{}, fmt.Errorf("unknown kind of upstream %q; known are %s", name, strings.Join(Kinds(), ", "))
	}
	return k, nil
}
