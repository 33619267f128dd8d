package dispatch

import "github.com/reasond/reasond/internal/llm"

// each is a snapshot of every member.
func (e *Engine) each() []llm.Stats {
	all := make([]llm.Stats, len(e.members))
	for i, m := range e.members {
		all[i] = m.Stats()
	}
	return all
}

// Caps implements the pipeline's Engine: what all members can do.
func (e *Engine) Caps() llm.Caps {
	c := e.members[0].Caps()
	for _, m := range e.members[1:] {
		o := m.Caps()
		c.IDs, c.Text, c.Chat = c.IDs && o.IDs, c.Text && o.Text, c.Chat && o.Chat
		c.Guides, c.Logprobs = c.Guides && o.Guides, c.Logprobs && o.Logprobs
		c.PromptLogprobs, c.OutputIDs = c.PromptLogprobs && o.PromptLogprobs, c.OutputIDs && o.OutputIDs
		c.MaxContext = min(c.MaxContext, o.MaxContext)
	}
	return c
}

// Stats implements the pipeline's Engine: numbers are sums. The whole is stalled,
// restarting or out of reach only when no member is ready.
func (e *Engine) Stats() llm.Stats {
	var sum llm.Stats
	anyReady, allStuck := false, true
	for _, s := range e.each() {
		st := stateOf(&s)
		anyReady = anyReady || st == ready
		allStuck = allStuck && st == stuck
		add(&sum, &s)
	}
	sum.Stalled = sum.Stalled && allStuck
	sum.Restarting = sum.Restarting && !anyReady
	sum.Unreachable = sum.Unreachable && allStuck
	return sum
}

func add(sum, s *llm.Stats) {
	sum.Running += s.Running
	sum.Waiting += s.Waiting
	sum.PagesTotal += s.PagesTotal
	sum.PagesFree += s.PagesFree
	sum.PagesCached += s.PagesCached
	sum.PageTokens = max(sum.PageTokens, s.PageTokens)
	sum.Steps += s.Steps
	sum.Rows += s.Rows
	sum.PromptTokens += s.PromptTokens
	sum.CachedTokens += s.CachedTokens
	sum.PrefillTokens += s.PrefillTokens
	sum.OutputTokens += s.OutputTokens
	sum.Preemptions += s.Preemptions
	sum.DraftTokens += s.DraftTokens
	sum.DraftAccepted += s.DraftAccepted
	sum.PrefixQueries += s.PrefixQueries
	sum.PrefixHits += s.PrefixHits
	sum.LastStep = max(sum.LastStep, s.LastStep)
	sum.Stalled = sum.Stalled || s.Stalled
	sum.Restarting = sum.Restarting || s.Restarting
	sum.Restarts += s.Restarts
	sum.Unreachable = sum.Unreachable || s.Unreachable
	sum.WeightBytes += s.WeightBytes
	sum.WeightFileBytes += s.WeightFileBytes
}
