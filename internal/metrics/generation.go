package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reasond/reasond/internal/llm"
)

// Run is what a Generation asks about its choices. pipeline.Run is one.
type Run interface {
	Usage(choice int) llm.Usage
	Timeline(choice int) llm.Timeline
}

// Generation observes one request for text from its arrival to its end. It is
// used by one goroutine.
type Generation struct {
	m       *Metrics
	model   string
	run     Run
	start   time.Time
	began   bool // some text has come
	choices []choice
	gaps    [2]prometheus.Observer // of thought and answer, once they have come
}

// choice is what was observed of one.
type choice struct {
	last              time.Time // of the latest delivery; zero: none yet
	tokens            int       // as of then
	thought, answered bool      // its first token was observed
	ended             bool
}

// Arrived begins with the arrival of a request for model.
func (m *Metrics) Arrived(model string) *Generation {
	return &Generation{m: m, model: model, start: time.Now()}
}

// Started says that the request was taken, and what runs.
func (g *Generation) Started(run Run, choices int) {
	g.run, g.choices = run, make([]choice, choices)
	g.of(g.m.params).Observe(float64(choices))
}

func (g *Generation) of(h *prometheus.HistogramVec) prometheus.Observer {
	return h.WithLabelValues(g.model)
}

// since observes how long after the arrival t is.
func (g *Generation) since(h *prometheus.HistogramVec, t time.Time) {
	g.of(h).Observe(t.Sub(g.start).Seconds())
}

// span observes the time between two moments that both are known.
func (g *Generation) span(h *prometheus.HistogramVec, from, to time.Time) {
	if !from.IsZero() && !to.IsZero() {
		g.of(h).Observe(to.Sub(from).Seconds())
	}
}

// Events notes what has just come.
func (g *Generation) Events(events []llm.Event, now time.Time) {
	for i := range events {
		e := &events[i]
		if e.Kind == llm.EventPrompt { // no token of the answer
			continue
		}
		times := g.run.Timeline(e.Choice)
		if !g.began && hasTokens(e) {
			g.begins(&times, now)
		}
		c := &g.choices[e.Choice]
		c.firsts(g, &times)
		if e.Kind == llm.EventFinish {
			g.finished(c, e, &times, now)
			continue
		}
		g.delivered(c, &times, g.run.Usage(e.Choice).Completion, now)
	}
}

// hasTokens tells an end that nothing came before from what has come.
func hasTokens(e *llm.Event) bool {
	return e.Kind != llm.EventFinish || e.Usage != nil && e.Usage.Completion > 0
}

// begins observes the request's first text.
func (g *Generation) begins(times *llm.Timeline, now time.Time) {
	g.began = true
	for _, t := range []time.Time{times.Thought, times.Answer} {
		if !t.IsZero() && t.Before(now) {
			now = t
		}
	}
	g.since(g.m.first, now)
}

// firsts observes the beginnings of a choice's phases, each once.
func (c *choice) firsts(g *Generation, times *llm.Timeline) {
	if !c.thought && !times.Thought.IsZero() {
		c.thought = true
		g.since(g.m.firstThought, times.Thought)
	}
	if !c.answered && !times.Answer.IsZero() {
		c.answered = true
		g.since(g.m.firstAnswer, times.Answer)
	}
}

// delivered observes the time that each of the tokens took that have come since
// the delivery before. Tokens that show nothing count when something is shown.
func (g *Generation) delivered(c *choice, times *llm.Timeline, tokens int, now time.Time) {
	if n := tokens - c.tokens; n > 0 && !c.last.IsZero() {
		gap := g.gap(times.Answer.IsZero() && !times.Thought.IsZero())
		each := now.Sub(c.last).Seconds() / float64(n)
		for range n {
			gap.Observe(each)
		}
	}
	c.last, c.tokens = now, tokens
}

// gap is where the times of thought's or the answer's tokens are observed.
func (g *Generation) gap(thought bool) prometheus.Observer {
	i, phase := 1, phaseAnswer
	if thought {
		i, phase = 0, phaseReasoning
	}
	if g.gaps[i] == nil {
		g.gaps[i] = g.m.gap.WithLabelValues(g.model, phase)
	}
	return g.gaps[i]
}

// finished observes a choice's end.
func (g *Generation) finished(c *choice, e *llm.Event, times *llm.Timeline, now time.Time) {
	c.ended = true
	g.m.finished.WithLabelValues(g.model, string(e.Finish.Reason)).Inc()
	if e.ThoughtStop != "" {
		g.m.stops.WithLabelValues(g.model, e.ThoughtStop).Inc()
	}
	n := 0
	if e.Usage != nil {
		n = e.Usage.Completion
		g.delivered(c, times, n, now)
		if e.Usage.Reasoning > 0 {
			g.of(g.m.thoughts).Observe(float64(e.Usage.Reasoning))
		}
	}
	g.span(g.m.thinking, times.Thought, times.ThoughtEnd)
	t := e.Finish.Times
	g.span(g.m.queued, t.Accepted, t.Begun)
	g.span(g.m.prefilled, t.Begun, t.First)
	g.span(g.m.decoded, t.First, t.Ended)
	g.span(g.m.inferredTime, t.Begun, t.Ended)
	if n > 1 && !t.First.IsZero() {
		g.of(g.m.perToken).Observe(t.Ended.Sub(t.First).Seconds() / float64(n-1))
	}
}

// End notes the request's end, whatever it was. Of choices that did not end by
// themselves, because the client left, what is known of their phases counts.
func (g *Generation) End(u llm.Usage) {
	for i := range g.choices {
		c := &g.choices[i]
		times := g.run.Timeline(i)
		if c.firsts(g, &times); !c.ended {
			g.span(g.m.thinking, times.Thought, times.ThoughtEnd)
		}
	}
	g.since(g.m.total, time.Now())
	g.of(g.m.prompt).Observe(float64(u.Prompt))
	g.of(g.m.output).Observe(float64(u.Completion))
	g.m.reasoned.WithLabelValues(g.model).Add(float64(u.Reasoning))
}
