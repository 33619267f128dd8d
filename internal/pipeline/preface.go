package pipeline

import (
	"math"
	"strings"

	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/tokenizer"
)

// vocabulary names tokens by their bytes; the zero value by the text that an
// upstream gave them.
type vocabulary struct{ *tokenizer.Vocab }

func (v vocabulary) textLogprob(p llm.Logprobs) llm.TextLogprob {
	named := v.named(p.TokenLogprob)
	for _, top := range p.Top {
		named.Top = append(named.Top, v.named(top))
	}
	return named
}

func (v vocabulary) named(p llm.TokenLogprob) llm.TextLogprob {
	named := llm.TextLogprob{ID: p.ID, Logprob: p.Logprob, Bytes: []byte(p.Text)}
	if v.Vocab != nil && p.ID >= 0 {
		named.Bytes = v.Bytes(p.ID)
	}
	return named
}

// preface is what an answer says of its prompt, as far as it was asked for.
type preface struct {
	vocab  vocabulary
	req    *Request
	ids    []int32
	text   string              // of an echo
	scores []llm.PromptLogprob // of ids from the second on, once they are there
}

// preface is nil where nothing of the prompt is wanted.
func (m *Model) preface(req *Request, prompt *prompted) (*preface, error) {
	caps := m.Engine.Caps()
	if req.Sampling.Logprobs && !caps.Logprobs {
		return nil, cannot("logprobs")
	}
	if !req.Echo && !req.TokenIDs && req.PromptLogprobs == nil {
		return nil, nil
	}
	switch {
	case req.TokenIDs && (m.Tokenizer == nil || !caps.OutputIDs):
		return nil, cannot("return_token_ids")
	case req.PromptLogprobs != nil && !caps.PromptLogprobs:
		return nil, cannot("prompt_logprobs")
	case req.Echo && req.Sampling.Logprobs && !caps.PromptLogprobs:
		return nil, llm.Errorf(llm.Unsupported, "echo", "echo: the server behind this one does not give the log-probabilities of a prompt")
	case m.Tokenizer == nil:
		return nil, cannot("echo")
	}
	p := &preface{vocab: vocabulary{m.Tokenizer.Vocab()}, req: req, ids: prompt.IDs}
	if p.ids == nil {
		p.ids = prompt.ids
	}
	if req.Echo {
		p.text = p.vocab.Decode(p.ids, false)
		// What the model wants around a text is not the client's text.
		if req.Prompt != nil && req.Prompt.IDs == nil && strings.Contains(p.text, req.Prompt.Text) {
			p.text = req.Prompt.Text
		}
	}
	return p, nil
}

func cannot(field string) error {
	return llm.Errorf(llm.Unsupported, field, "%s: the server behind this one cannot do it", field)
}

// likely is how many alternatives the engine is asked for of each prompt token;
// nil: none is scored.
func (p *preface) likely() *int {
	if p == nil {
		return nil
	}
	n := p.req.PromptLogprobs
	if p.req.Echo && p.req.Sampling.Logprobs && (n == nil || *n < p.req.Sampling.TopLogprobs) {
		n = &p.req.Sampling.TopLogprobs
	}
	return n
}

// event is the first event of each choice.
func (p *preface) event(choice int) llm.Event {
	e := llm.Event{Choice: choice, Kind: llm.EventPrompt, Text: p.text, Prompt: &llm.Prompted{}}
	if p.req.TokenIDs {
		e.Prompt.IDs = p.ids
	}
	if p.req.PromptLogprobs != nil {
		e.Prompt.Logprobs = p.logprobs(*p.req.PromptLogprobs)
	}
	if p.req.Echo && p.req.Sampling.Logprobs {
		e.Logprobs = p.echoed(p.logprobs(p.req.Sampling.TopLogprobs))
	}
	return e
}

// logprobs are those of all of the prompt's tokens, the first without any.
func (p *preface) logprobs(top int) []llm.PromptTextLogprob {
	all := make([]llm.PromptTextLogprob, 0, len(p.ids))
	all = append(all, llm.PromptTextLogprob{TextLogprob: p.vocab.named(llm.TokenLogprob{ID: p.ids[0], Logprob: float32(math.NaN())})})
	for _, s := range p.scores {
		one := llm.PromptTextLogprob{TextLogprob: p.vocab.textLogprob(s.Logprobs), Rank: s.Rank}
		one.Top = one.Top[:min(top, len(one.Top))]
		all = append(all, one)
	}
	return all
}

// echoed are the log-probabilities of the tokens that the echo shows.
func (p *preface) echoed(all []llm.PromptTextLogprob) []llm.TextLogprob {
	text, ends := p.vocab.NewDecoder(false).Append(nil, nil, p.ids...)
	var s shown
	start := 0
	for i := range all {
		s.add(start, ends[i], all[i].TextLogprob)
		start = ends[i]
	}
	from := strings.Index(string(text), p.text)
	if from < 0 { // the last character is not whole
		from = 0
	}
	s.show(from, p.text)
	s.sent(len(p.text))
	return s.close()
}
