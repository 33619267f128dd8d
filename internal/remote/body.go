package remote

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math"
	"strconv"

	"github.com/reasond/reasond/internal/llm"
)

// body is a request's JSON on its way. The first parameter that the upstream
// cannot do is kept as its error.
type body struct {
	kind   *kind
	end    *endpoint
	fields map[string]any
	err    *llm.Error
}

// encode is the JSON body that asks the upstream for req, or an error that
// names the field which cannot be done. Stop strings are not part of an engine
// request, so none is ever sent.
func (e *Engine) encode(req *llm.Request) ([]byte, error) {
	b := &body{kind: &e.kind, end: e.endpoint, fields: map[string]any{"model": e.Model(), "stream": true}}
	maps.Copy(b.fields, e.endpoint.always)
	options := map[string]any{"include_usage": true}
	if e.kind.counts {
		options["continuous_usage_stats"] = true
	}
	b.fields["stream_options"] = options
	if req.Guide != nil {
		b.refuse("response_format")
	}
	if req.N > 1 {
		if b.fields["n"] = req.N; !e.kind.choices {
			b.refuse("n")
		}
	}
	if err := b.prompt(e.cfg.Mode, req.Prompt); err != nil {
		return nil, err
	}
	b.sampling(&req.Sampling)
	b.logprobs(e.cfg.Mode, &req.Sampling)
	b.isolation(req)
	if b.err != nil {
		return nil, b.err
	}
	return json.Marshal(b.fields)
}

func (b *body) refuse(field string) {
	if b.err == nil {
		b.err = llm.Errorf(llm.Unsupported, field, "%s: the server behind this one cannot do it", field)
	}
}

// set sends a parameter that the upstream must know.
func (b *body) set(name string, v any) {
	theirs, ok := b.end.params[name]
	if !ok {
		b.refuse(name)
		return
	}
	b.fields[theirs] = v
}

// number sends a parameter that may be unset (NaN), and that an upstream need
// not know while it has no effect.
func (b *body) number(name string, v, neutral float64) {
	if math.IsNaN(v) {
		return
	}
	if _, ok := b.end.params[name]; ok || v != neutral {
		b.set(name, v)
	}
}

func (b *body) prompt(mode Mode, p llm.Prompt) error {
	switch {
	case mode == Chat && p.Chat != nil:
		b.chat(p.Chat)
	case mode == Completions && len(p.IDs) > 0 && b.kind.ids:
		b.fields["prompt"] = p.IDs
	case mode == Completions && p.Text != "":
		b.fields["prompt"] = p.Text
	default:
		return llm.Errorf(llm.Internal, "", "the prompt has a form that this engine does not take")
	}
	return nil
}

func (b *body) chat(c *llm.Chat) {
	b.fields["messages"] = history(c.Messages, b.kind.reasoning)
	if len(c.Tools) > 0 {
		b.fields["tools"] = c.Tools
		maps.Copy(b.fields, b.kind.withTools)
	}
	if c.ContinueFinalMessage {
		b.set("continue_final_message", true)
	}
	if !c.AddGenerationPrompt {
		// SGLang has only continue_final_message, which implies it.
		if _, ok := b.end.params["add_generation_prompt"]; ok || !c.ContinueFinalMessage {
			b.set("add_generation_prompt", false)
		}
	}
	b.switches(c.Kwargs)
}

// history gives past reasoning, which comes as reasoning_content, every name by
// which an upstream of this kind may read it: one that does not know the name
// would lose the thought without a word.
func history(messages json.RawMessage, names []string) json.RawMessage {
	const ours = "reasoning_content"
	if len(names) == 1 && names[0] == ours || !bytes.Contains(messages, []byte(`"`+ours+`"`)) {
		return messages
	}
	var all []map[string]json.RawMessage
	if json.Unmarshal(messages, &all) != nil {
		return messages // the upstream says what is wrong with them
	}
	for _, m := range all {
		thought, given := m[ours]
		for _, name := range names {
			if _, taken := m[name]; given && !taken {
				m[name] = thought
			}
		}
	}
	named, err := json.Marshal(all)
	if err != nil {
		return messages
	}
	return named
}

// switches sends the template's options. Where the upstream takes none, those
// that reasoning_effort can say are said so: a switch that is off wins.
func (b *body) switches(kwargs map[string]json.RawMessage) {
	if len(kwargs) == 0 {
		return
	}
	if effort, given := kwargs["reasoning_effort"]; given && b.kind.effort {
		b.fields["reasoning_effort"] = effort
	}
	if b.kind.kwargs {
		b.fields["chat_template_kwargs"] = kwargs
		return
	}
	for name, raw := range kwargs {
		var on bool
		switch name {
		case "reasoning_effort":
		case "enable_thinking", "thinking":
			if json.Unmarshal(raw, &on) != nil {
				b.refuse("chat_template_kwargs")
			} else if !on {
				b.fields["reasoning_effort"] = "none"
			}
		default:
			b.refuse("chat_template_kwargs")
		}
	}
}

func (b *body) sampling(p *llm.SamplingParams) {
	b.number("temperature", p.Temperature, 1)
	b.number("top_p", p.TopP, 1)
	b.number("min_p", p.MinP, 0)
	b.number("presence_penalty", p.PresencePenalty, 0)
	b.number("frequency_penalty", p.FrequencyPenalty, 0)
	b.number("repetition_penalty", p.RepetitionPenalty, 1)
	if b.fields["repeat_penalty"] != nil {
		b.fields["repeat_last_n"] = -1 // over the whole context, as everywhere else
	}
	b.topK(p.TopK)
	if _, ok := b.end.params["do_sample"]; ok && !math.IsNaN(p.Temperature) {
		b.fields["do_sample"] = p.Temperature > 0
	}
	if p.MaxTokens > 0 {
		b.set("max_tokens", p.MaxTokens)
	} else if b.fields["messages"] == nil && b.err == nil {
		// The default of completions is 16 tokens: nobody means that.
		b.err = llm.Errorf(llm.Invalid, "max_tokens", "max_tokens must be given: the server behind this one does not say how long its context is")
	}
	if p.MinTokens > 0 {
		b.set("min_tokens", p.MinTokens)
	}
	if p.Seeded {
		b.set("seed", int64(p.Seed))
	}
	if len(p.StopIDs) > 0 {
		b.set("stop_token_ids", p.StopIDs)
	}
	if p.IgnoreEOS {
		b.set("ignore_eos", true)
	}
	if len(p.LogitBias) > 0 {
		bias := make(map[string]float32, len(p.LogitBias))
		for id, v := range p.LogitBias {
			bias[strconv.Itoa(int(id))] = v
		}
		b.set("logit_bias", bias)
	}
}

func (b *body) topK(k int) {
	if k == llm.UnsetTopK {
		return
	}
	if k <= 0 {
		if _, ok := b.end.params["top_k"]; !ok {
			return
		}
		k = b.kind.topKOff
	}
	b.set("top_k", k)
}

// logprobs are a flag and a number in chats, one number in completions. Some
// upstreams take 0 for none at all, so at least one alternative is asked for.
func (b *body) logprobs(mode Mode, p *llm.SamplingParams) {
	switch {
	case !p.Logprobs:
	case mode == Completions:
		b.set("logprobs", max(p.TopLogprobs, 1))
	default:
		b.set("logprobs", true)
		b.fields["top_logprobs"] = max(p.TopLogprobs, 1)
	}
	if !p.Logprobs {
		delete(b.fields, "return_tokens_as_token_ids")
	}
}

// isolation passes on whose prefixes may be shared and who comes first. A
// tenant is kept apart where the upstream can; cache_salt, which the client
// asked for, must be possible.
func (b *body) isolation(req *llm.Request) {
	if req.Priority != 0 {
		b.set("priority", req.Priority)
	}
	if _, ok := b.end.params["cache_salt"]; !ok && req.Salt == "" || req.Tenant == "" && req.Salt == "" {
		return
	}
	sum := sha256.Sum256([]byte(req.Tenant + "\x00" + req.Salt))
	b.set("cache_salt", hex.EncodeToString(sum[:]))
}
