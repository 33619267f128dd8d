package openai

import "math"

// Control bounds and steers a thought, under any of these names:
//
//	thinking_token_budget, thinking_budget, reasoning_budget,
//	thinking_budget_tokens, reasoning_budget_tokens,
//	thinking.budget_tokens, reasoning.max_tokens      most tokens of the thought
//	thinking_budget_grace                             may end so many earlier, with a sentence
//	reserve_answer_tokens                             of max_tokens so many are the answer's
//	break_reasoning_loops                             a thought that repeats itself ends
//	reasoning_control                                 …/answer_now may end it
//	reasoning: {temperature, top_p, top_k, min_p,
//	    presence_penalty, frequency_penalty,
//	    repetition_penalty}                           sampling of the thought alone
type Control struct {
	Budget      *int // nil: the server's default
	BudgetField string
	Grace       *int
	Reserve     int
	BreakLoops  bool
	Live        bool
	Sampling    *PhaseSampling
}

// PhaseSampling changes the parameters of one phase. nil: as in the other.
type PhaseSampling struct {
	Temperature, TopP, MinP                              *float64
	TopK                                                 *int
	PresencePenalty, FrequencyPenalty, RepetitionPenalty *float64
}

// budget reads a budget; -1 is none where a peer has it so.
func budget(d *chatDecoder, name string, v value) error {
	var n *int
	if err := integer(func(*chatDecoder) **int { return &n }, -1, maxCount)(d, name, v); err != nil {
		return err
	}
	if *n < 0 {
		return nil
	}
	if c := &d.req.Control; c.Budget != nil && *c.Budget != *n {
		return contradiction(name, c.BudgetField)
	}
	d.req.Control.Budget, d.req.Control.BudgetField = n, name
	return nil
}

func grace(d *chatDecoder, name string, v value) error {
	return integer(func(d *chatDecoder) **int { return &d.req.Control.Grace }, 0, maxCount)(d, name, v)
}

func reserve(d *chatDecoder, name string, v value) error {
	var n *int
	err := integer(func(*chatDecoder) **int { return &n }, 0, maxCount)(d, name, v)
	if err == nil {
		d.req.Control.Reserve = *n
	}
	return err
}

// phaseFields are the members of reasoning that are sampling parameters.
var phaseFields = map[string]field{
	"temperature":        phaseNumber(func(p *PhaseSampling) **float64 { return &p.Temperature }, 0, 2),
	"top_p":              phaseNumber(func(p *PhaseSampling) **float64 { return &p.TopP }, math.SmallestNonzeroFloat32, 1),
	"min_p":              phaseNumber(func(p *PhaseSampling) **float64 { return &p.MinP }, 0, 1),
	"presence_penalty":   phaseNumber(func(p *PhaseSampling) **float64 { return &p.PresencePenalty }, -2, 2),
	"frequency_penalty":  phaseNumber(func(p *PhaseSampling) **float64 { return &p.FrequencyPenalty }, -2, 2),
	"repetition_penalty": phaseNumber(func(p *PhaseSampling) **float64 { return &p.RepetitionPenalty }, 0.01, 100),
	"top_k":              integer(func(d *chatDecoder) **int { return &d.phase().TopK }, -1, maxCount),
}

func phaseNumber(of func(*PhaseSampling) **float64, lo, hi float64) field {
	return number(func(d *chatDecoder) **float64 { return of(d.phase()) }, lo, hi)
}

func (d *chatDecoder) phase() *PhaseSampling {
	if d.req.Control.Sampling == nil {
		d.req.Control.Sampling = &PhaseSampling{}
	}
	return d.req.Control.Sampling
}
