package openai

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// field decodes one member that is not null.
type field func(d *chatDecoder, name string, v value) error

// chatFields is every member of a chat request that has an effect.
var chatFields = map[string]field{
	"model":    text(func(d *chatDecoder) *string { return &d.req.Model }, 512),
	"messages": messages,
	"tools":    tools,

	"tool_choice":         toolChoice,
	"parallel_tool_calls": parallelCalls,

	"response_format":    responseFormat,
	"structured_outputs": structuredOutputs,
	"guided_json":        schemaMember,
	"guided_regex":       grammarText(GrammarRegex),
	"guided_choice":      choiceMember,
	"guided_grammar":     grammarText(GrammarEBNF),
	"json_schema":        schemaMember,
	"regex":              grammarText(GrammarRegex),
	"ebnf":               grammarText(GrammarEBNF),
	"grammar":            grammarText(GrammarEBNF),
	"structural_tag":     structuralMember,
	"reasoning_grammar":  thoughtGrammar(GrammarEBNF),
	"reasoning_regex":    thoughtGrammar(GrammarRegex),

	"thinking_token_budget":   budget,
	"thinking_budget":         budget,
	"thinking_budget_tokens":  budget,
	"reasoning_budget":        budget,
	"reasoning_budget_tokens": budget,
	"thinking_budget_grace":   grace,
	"reserve_answer_tokens":   reserve,
	"break_reasoning_loops":   boolean(func(d *chatDecoder) *bool { return &d.req.Control.BreakLoops }),
	"reasoning_control":       boolean(func(d *chatDecoder) *bool { return &d.req.Control.Live }),

	"stream":         boolean(func(d *chatDecoder) *bool { return &d.req.Stream }),
	"stream_options": streamOptions,

	"n":                     n,
	"max_tokens":            integer(func(d *chatDecoder) **int { return &d.req.MaxTokens }, 1, maxCount),
	"max_completion_tokens": integer(func(d *chatDecoder) **int { return &d.maxCompletion }, 1, maxCount),
	"min_tokens":            integer(func(d *chatDecoder) **int { return &d.req.MinTokens }, 0, maxCount),

	"temperature":        number(func(d *chatDecoder) **float64 { return &d.req.Temperature }, 0, 2),
	"top_p":              number(func(d *chatDecoder) **float64 { return &d.req.TopP }, math.SmallestNonzeroFloat32, 1),
	"top_k":              integer(func(d *chatDecoder) **int { return &d.req.TopK }, -1, maxCount),
	"min_p":              number(func(d *chatDecoder) **float64 { return &d.req.MinP }, 0, 1),
	"presence_penalty":   number(func(d *chatDecoder) **float64 { return &d.req.PresencePenalty }, -2, 2),
	"frequency_penalty":  number(func(d *chatDecoder) **float64 { return &d.req.FrequencyPenalty }, -2, 2),
	"repetition_penalty": number(func(d *chatDecoder) **float64 { return &d.req.RepetitionPenalty }, 0.01, 100),
	"logit_bias":         logitBias,
	"logprobs":           boolean(func(d *chatDecoder) *bool { return &d.req.Logprobs }),
	"top_logprobs":       integer(func(d *chatDecoder) **int { return &d.req.TopLogprobs }, 0, MaxTopLogprobs),
	"reasoning_logprobs": boolean(func(d *chatDecoder) *bool { return &d.req.ReasoningLogprobs }),
	"prompt_logprobs":    integer(func(d *chatDecoder) **int { return &d.req.PromptLogprobs }, 0, MaxTopLogprobs),
	"return_token_ids":   boolean(func(d *chatDecoder) *bool { return &d.req.TokenIDs }),
	"seed":               seed,

	"stop":                       stop,
	"stop_token_ids":             stopIDs,
	"ignore_eos":                 optional(func(d *chatDecoder) **bool { return &d.req.IgnoreEOS }),
	"include_stop_str_in_output": boolean(func(d *chatDecoder) *bool { return &d.req.IncludeStop }),
	"skip_special_tokens":        skipSpecial,

	"reasoning_effort":     effort,
	"enable_thinking":      thinks,
	"thinking":             thinking,
	"think":                thinks,
	"reasoning":            reasoningObject,
	"separate_reasoning":   separate,
	"stream_reasoning":     streamReasoning,
	"include_reasoning":    include,
	"reasoning_format":     reasoningFormat,
	"chat_template_kwargs": kwargs,

	"add_generation_prompt":  addGenerationPrompt,
	"continue_final_message": boolean(func(d *chatDecoder) *bool { return &d.req.ContinueFinalMessage }),

	"priority":   priority,
	"cache_salt": token(func(d *chatDecoder) *string { return &d.req.CacheSalt }, "-_"),
	"request_id": token(func(d *chatDecoder) *string { return &d.req.RequestID }, "-_.:"),
}

func expect(v value, name, kind string) error {
	if v.kind() != kind {
		return invalid(name, "must be a %s, got %s", kind, v.kind())
	}
	return nil
}

// options calls fn for each member of the object that name holds, with the
// member's path; one that is null is as good as absent.
func options(v value, name string, fn func(key, path string, v value) error) error {
	if err := expect(v, name, "object"); err != nil {
		return err
	}
	return v.members(func(key string, v value) error {
		if v.null() {
			return nil
		}
		return fn(key, name+"."+clip(key), v)
	})
}

func text(of func(*chatDecoder) *string, most int) field {
	return func(d *chatDecoder, name string, v value) error {
		if err := expect(v, name, "string"); err != nil {
			return err
		}
		s := v.text()
		if len(s) > most {
			return invalid(name, "longer than %d bytes", most)
		}
		*of(d) = s
		return nil
	}
}

// token is a name of letters, digits and the marks given.
func token(of func(*chatDecoder) *string, marks string) field {
	return func(d *chatDecoder, name string, v value) error {
		if err := expect(v, name, "string"); err != nil {
			return err
		}
		s := v.text()
		if len(s) < 1 || len(s) > MaxSaltBytes || strings.IndexFunc(s, func(r rune) bool { return !tokenRune(r, marks) }) >= 0 {
			return invalid(name, "must be 1 to %d characters of A-Z, a-z, 0-9 and %s", MaxSaltBytes, marks)
		}
		*of(d) = s
		return nil
	}
}

func tokenRune(r rune, marks string) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(marks, r)
}

func boolean(of func(*chatDecoder) *bool) field {
	return func(d *chatDecoder, name string, v value) error {
		if err := expect(v, name, "boolean"); err != nil {
			return err
		}
		*of(d) = v[0] == 't'
		return nil
	}
}

func optional(of func(*chatDecoder) **bool) field {
	return func(d *chatDecoder, name string, v value) error {
		b := new(bool)
		*of(d) = b
		return boolean(func(*chatDecoder) *bool { return b })(d, name, v)
	}
}

func number(of func(*chatDecoder) **float64, lo, hi float64) field {
	return func(d *chatDecoder, name string, v value) error {
		x, err := inRange(v, name, lo, hi)
		if err == nil {
			*of(d) = &x
		}
		return err
	}
}

// inRange reads a number of lo to hi; one too small for float64 reads as 0.
func inRange(v value, name string, lo, hi float64) (float64, error) {
	if err := expect(v, name, "number"); err != nil {
		return 0, err
	}
	x, err := strconv.ParseFloat(string(v), 64)
	if err != nil || x < lo || x > hi {
		if lo > 0 && lo < 1e-30 {
			return 0, invalid(name, "must be greater than 0 and at most %g", hi)
		}
		return 0, invalid(name, "must be between %g and %g", lo, hi)
	}
	return x, nil
}

func integer(of func(*chatDecoder) **int, lo, hi int64) field {
	return func(d *chatDecoder, name string, v value) error {
		x, err := whole(v, name, lo, hi)
		if err == nil {
			i := int(x)
			*of(d) = &i
		}
		return err
	}
}

// whole reads an integer of lo to hi. 5.0 and 5e0 are integers, as JSON makes
// no difference; beyond 2^53 only the plain form is exact and accepted.
func whole(v value, name string, lo, hi int64) (int64, error) {
	if err := expect(v, name, "number"); err != nil {
		return 0, err
	}
	x, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(string(v), 64)
		if ferr == nil && f != math.Trunc(f) {
			return 0, invalid(name, "must be an integer")
		}
		if ferr != nil || math.Abs(f) > 1<<53 {
			return 0, invalid(name, "must be between %d and %d", lo, hi)
		}
		x = int64(f)
	}
	if x < lo || x > hi {
		return 0, invalid(name, "must be between %d and %d", lo, hi)
	}
	return x, nil
}

func n(d *chatDecoder, name string, v value) error {
	x, err := whole(v, name, 1, MaxChoices)
	if err == nil {
		d.req.N = int(x)
	}
	return err
}

func seed(d *chatDecoder, name string, v value) error {
	x, err := whole(v, name, math.MinInt64, math.MaxInt64)
	if err == nil {
		d.req.Seed = &x
	}
	return err
}

func priority(d *chatDecoder, name string, v value) error {
	x, err := whole(v, name, math.MinInt32, math.MaxInt32)
	d.req.Priority = int(x)
	return err
}

func skipSpecial(d *chatDecoder, name string, v value) error {
	skip := true
	err := boolean(func(*chatDecoder) *bool { return &skip })(d, name, v)
	d.req.KeepSpecial = !skip
	return err
}

func addGenerationPrompt(d *chatDecoder, name string, v value) error {
	err := boolean(func(*chatDecoder) *bool { return &d.addPrompt })(d, name, v)
	d.req.AddGenerationPrompt = d.addPrompt
	return err
}

func stop(d *chatDecoder, name string, v value) error {
	add := func(v value) error {
		s := v.text()
		if s == "" || len(s) > MaxStopBytes {
			return invalid(name, "a stop string must have 1 to %d bytes", MaxStopBytes)
		}
		if len(d.req.Stop) == MaxStops {
			return invalid(name, "more than %d stop strings", MaxStops)
		}
		d.req.Stop = append(d.req.Stop, s)
		return nil
	}
	if v.kind() == "string" {
		return add(v)
	}
	if v.kind() != "array" {
		return invalid(name, "must be a string or an array of strings, got %s", v.kind())
	}
	return v.items(func(_ int, v value) error {
		if err := expect(v, name, "string"); err != nil {
			return err
		}
		return add(v)
	})
}

func stopIDs(d *chatDecoder, name string, v value) error {
	if err := expect(v, name, "array"); err != nil {
		return err
	}
	return v.items(func(i int, v value) error {
		if i == MaxStopIDs {
			return invalid(name, "more than %d ids", MaxStopIDs)
		}
		id, err := whole(v, name, 0, maxCount)
		d.req.StopIDs = append(d.req.StopIDs, int32(id))
		return err
	})
}

func logitBias(d *chatDecoder, name string, v value) error {
	if err := expect(v, name, "object"); err != nil {
		return err
	}
	d.req.LogitBias = map[int32]float32{}
	return v.members(func(key string, v value) error {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 {
			return invalid(name, "a member's name must be a token id")
		}
		if len(d.req.LogitBias) == MaxLogitBias {
			return invalid(name, "more than %d tokens", MaxLogitBias)
		}
		if _, twice := d.req.LogitBias[int32(id)]; twice {
			return invalid(name, "a token is given twice")
		}
		bias, err := inRange(v, name, -100, 100)
		d.req.LogitBias[int32(id)] = float32(bias)
		return err
	})
}

func streamOptions(d *chatDecoder, name string, v value) error {
	d.req.StreamOptions = &StreamOptions{}
	return options(v, name, func(key, path string, v value) error {
		switch key {
		case "include_usage":
			return boolean(func(*chatDecoder) *bool { return &d.req.StreamOptions.IncludeUsage })(d, path, v)
		case "include_obfuscation", "continuous_usage_stats":
			if key == "include_obfuscation" || v[0] == 'f' {
				return expect(v, path, "boolean")
			}
			return unsupported(path, "not supported by this server")
		}
		return Unknown(path)
	})
}

// reservedKwargs would replace what the request says elsewhere, or reach into
// the renderer.
var reservedKwargs = map[string]bool{
	"messages": true, "conversation": true, "tools": true, "chat_template": true, "tokenize": true,
	"add_generation_prompt": true, "continue_final_message": true, "return_dict": true, "return_tensors": true,
	"padding": true, "truncation": true, "max_length": true, "tokenizer_kwargs": true,
	"raise_exception": true, "strftime_now": true, "range": true, "namespace": true, "dict": true, "self": true, "loop": true,
}

// kwargs takes the template's own switches: plain data under names that a
// template could use, and none that means something to the server.
func kwargs(d *chatDecoder, name string, v value) error {
	if err := expect(v, name, "object"); err != nil {
		return err
	}
	d.req.TemplateKwargs = map[string]json.RawMessage{}
	return v.members(func(key string, v value) error {
		path := name + "." + clip(key)
		switch {
		case !identifier(key):
			return invalid(name, "a member's name must be an identifier of at most 64 characters")
		case reservedKwargs[key]:
			return invalid(path, "cannot be set by a request")
		case len(d.req.TemplateKwargs) == MaxKwargs:
			return invalid(name, "more than %d members", MaxKwargs)
		}
		d.req.TemplateKwargs[key] = json.RawMessage(v)
		return nil
	})
}

func identifier(s string) bool {
	return s != "" && len(s) <= 64 && !isDigit(s[0]) &&
		strings.IndexFunc(s, func(r rune) bool { return !tokenRune(r, "_") }) < 0
}

// clip bounds a name of the client's before it is repeated in an error.
func clip(name string) string {
	if len(name) <= maxNameInError {
		return name
	}
	return strings.ToValidUTF8(name[:maxNameInError], "") + "…"
}

func quote(name string) string { return strconv.QuoteToASCII(name) }
