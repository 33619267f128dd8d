package server

import (
	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
)

func toolChoice(c *openai.ToolChoice) pipeline.ToolChoice {
	if c == nil {
		return pipeline.ToolChoice{}
	}
	return pipeline.ToolChoice{Required: c.Required, Name: c.Name, Allowed: c.Allowed}
}

var grammarKinds = map[openai.GrammarKind]pipeline.GrammarKind{
	openai.GrammarJSON: pipeline.GrammarJSON, openai.GrammarSchema: pipeline.GrammarSchema, openai.GrammarRegex: pipeline.GrammarRegex,
	openai.GrammarChoice: pipeline.GrammarChoice, openai.GrammarEBNF: pipeline.GrammarEBNF, openai.GrammarStructural: pipeline.GrammarStructural,
}

func grammarOf(g *openai.Grammar) *pipeline.Grammar {
	if g == nil {
		return nil
	}
	return pipeline.NewGrammar(grammarKinds[g.Kind], g.Source, g.Field)
}

func control(c *openai.Control) pipeline.Control {
	out := pipeline.Control{
		Budget: c.Budget, BudgetField: c.BudgetField, Grace: c.Grace, Reserve: c.Reserve, BreakLoops: c.BreakLoops, Live: c.Live,
	}
	if s := c.Sampling; s != nil {
		out.Sampling = func(p *llm.SamplingParams) {
			set(&p.Temperature, s.Temperature)
			set(&p.TopP, s.TopP)
			set(&p.MinP, s.MinP)
			set(&p.TopK, s.TopK)
			set(&p.PresencePenalty, s.PresencePenalty)
			set(&p.FrequencyPenalty, s.FrequencyPenalty)
			set(&p.RepetitionPenalty, s.RepetitionPenalty)
		}
	}
	return out
}
