package sched

import "github.com/reasond/reasond/internal/engine/kv"

// next is the first waiting sequence that may be admitted. Only one kind is
// passed over: siblings of a sequence that is computing their prompt.
func (s *Scheduler) next() *Seq {
	for _, q := range s.waiting {
		if s.ready(q) {
			return q
		}
	}
	return nil
}

func (s *Scheduler) ready(q *Seq) bool { return q.pending == 0 && !s.promptUnderway(q) }

func (s *Scheduler) promptUnderway(q *Seq) bool {
	if len(q.group.prompt.Pages) > 0 {
		return false
	}
	for _, r := range q.group.Seqs {
		if r.state == running && r.computed < r.promptLen {
			return true
		}
	}
	return false
}

// admit gives q a slot, the pages of all its known tokens, and whatever is
// computed already: cached pages or a sibling's prompt. It returns false when
// slots or pages do not suffice; then nobody behind q is admitted either, so
// that small requests cannot starve a large one.
func (s *Scheduler) admit(p *Plan, q *Seq) bool {
	if len(s.slots) == 0 {
		return false
	}
	cached, fork := s.attach(q)
	pages := s.pool.PagesFor(len(q.tokens))
	need := pages - len(q.table.Pages)
	reserve := 0
	if q.preemptions >= s.cfg.MaxPreemptions {
		reserve = s.pool.PagesFor(q.limit) - pages
	}
	if s.pool.Free()-s.reserved < need+max(reserve, s.margin()) {
		s.pool.Release(&q.table)
		// A prompt that this plan copies from keeps its pages until the next.
		return !p.forks && s.dropPrompts() && s.admit(p, q)
	}
	s.place(q, reserve)
	s.countPrefix(q, cached)
	shared := len(q.table.Pages)
	if fork >= 0 {
		q.planned, q.computed = q.promptLen-1, q.promptLen-1
	} else {
		q.planned, q.computed = cached, cached
	}
	s.take(p, q, len(q.tokens))
	if fork >= 0 && shared*s.cfg.PageTokens < q.planned {
		s.copyLast(p, q, shared)
	}
	s.retirePrompt(q.group)
	return true
}

// margin is the pages that running sequences will want soon: one each, unless
// theirs are reserved. Who is admitted into them would be preempted at once.
func (s *Scheduler) margin() int {
	n := 0
	for _, q := range s.running {
		if q.preemptions < s.cfg.MaxPreemptions {
			n++
		}
	}
	return n
}

// attach fills q's table with pages that are computed already. Either cached
// tokens lie in them (fork < 0), or they are the full pages of the group's
// prompt and fork is the number of pages that the prompt has.
func (s *Scheduler) attach(q *Seq) (cached, fork int) {
	cached = s.pool.Match(&q.table, &q.chain, q.tokens)
	prompt := &q.group.prompt
	if len(prompt.Pages) == 0 || cached >= q.promptLen-1 {
		return cached, -1
	}
	s.pool.Release(&q.table)
	s.pool.Share(&q.table, *prompt, (q.promptLen-1)/s.cfg.PageTokens)
	return cached, len(prompt.Pages)
}

// copyLast makes q's page i a copy of the prompt's: the page that q writes on.
func (s *Scheduler) copyLast(p *Plan, q *Seq, i int) {
	p.forks = true
	dst := q.table.Pages[i]
	for k := range p.Copies {
		if p.Copies[k].Dst == dst { // scrubbed just now; one copy a page will do
			p.Copies[k].Src = q.group.prompt.Pages[i]
			return
		}
	}
	p.Copies = append(p.Copies, Copy{Src: q.group.prompt.Pages[i], Dst: dst})
}

// place moves q from the queue to the running sequences.
func (s *Scheduler) place(q *Seq, reserve int) {
	s.waiting = remove(s.waiting, q)
	s.running = insert(s.running, q)
	q.state = running
	q.slot = s.slots[len(s.slots)-1]
	s.slots = s.slots[:len(s.slots)-1]
	q.fresh = true
	q.life++
	q.prefillEnd = len(q.tokens)
	q.reserved = reserve
	s.reserved += reserve
}

// countPrefix counts a group's prompt once, at its first admission.
func (s *Scheduler) countPrefix(q *Seq, cached int) {
	if q.group.begun {
		return
	}
	q.group.begun = true
	q.group.Cached = cached
	s.stats.PromptTokens += uint64(q.promptLen)
	s.stats.CachedTokens += uint64(cached)
	s.stats.PrefixQueries += uint64(q.promptLen)
	s.stats.PrefixHits += uint64(cached)
}

// sharePrompt holds the prompt that q has computed for siblings that wait.
func (s *Scheduler) sharePrompt(q *Seq) {
	g := q.group
	if len(g.Seqs) > 1 && len(g.prompt.Pages) == 0 && q.computed >= q.promptLen && g.anyWaiting() {
		s.pool.Share(&g.prompt, q.table, s.pool.PagesFor(q.promptLen-1))
	}
}

// retirePrompt gives up the held prompt when no sibling waits any more. This
// plan may copy from it, so its pages are released with the next call.
func (s *Scheduler) retirePrompt(g *Group) {
	if len(g.prompt.Pages) > 0 && !g.anyWaiting() {
		s.retired = append(s.retired, g.prompt)
		g.prompt = kv.Table{}
	}
}

func (s *Scheduler) dropRetired() {
	for i := range s.retired {
		s.pool.Release(&s.retired[i])
	}
	s.retired = s.retired[:0]
}

// dropPrompts releases the prompts held for waiting forks and reports whether
// there were any.
func (s *Scheduler) dropPrompts() bool {
	dropped := false
	for _, q := range s.waiting {
		if len(q.group.prompt.Pages) > 0 {
			s.pool.Release(&q.group.prompt)
			dropped = true
		}
	}
	return dropped
}

func (g *Group) anyWaiting() bool {
	for _, q := range g.Seqs {
		if q.state == waiting {
			return true
		}
	}
	return false
}
