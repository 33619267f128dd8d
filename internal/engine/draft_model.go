package engine

import (
	"slices"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/draft"
	"github.com/reasond/reasond/internal/engine/runner"
	"github.com/reasond/reasond/internal/engine/sched"
)

// DraftModel is a smaller model of the same vocabulary that guesses ahead.
type DraftModel struct {
	Backend backend.Backend // its program built; the engine's from New on, Close included
	// Config is what Backend was made with: as many pages, slots and rows as the
	// model's at least. Beyond its MaxContext it does not guess.
	Config backend.Config
}

// Close closes its backend; of nil there is none.
func (d *DraftModel) Close() error {
	if d == nil {
		return nil
	}
	return d.Backend.Close()
}

const (
	leastPiece = 8    // rows by which the draft model may catch up in any step
	mostPiece  = 64   // beside a step's prompts, and beside steps that take long
	payback    = 16   // steps in which catching up is to pay
	firstShare = 0.25 // most of the model's time that a pass is taken to need before one was measured
	warmUp     = 2    // first passes whose times say little: weights and pages come into memory
)

// draftModel is the loop's side of a draft model: what it knows, whom it computes
// and for whom it guesses. The runner has the other side.
type draftModel struct {
	most     int // guesses of a choice
	rows     int // most rows of its step
	slots    int
	context  int // it computes no position beyond
	reckless bool
	whim     func(n int) int // see tweak

	known  *draft.Known
	trust  draft.Trust // of all sequences
	costs  costs       // of its passes, by their rows
	share  float64     // of the model's time that a pass takes, before it was measured
	model  *costs      // of the model's steps
	passes uint64      // so far
	bids   []bid
}

func newDraftModel(cfg *Config, info backend.Info, c *costs) *draftModel {
	d := cfg.Draft
	m := &draftModel{most: cfg.DraftTokens, rows: d.Config.MaxRows, slots: d.Config.MaxSeqs, context: d.Config.MaxContext, reckless: cfg.tweak.reckless, whim: cfg.tweak.whim,
		known: draft.NewKnown(cfg.Backend.Pages, backend.PageTokens), trust: draft.FirstTrust, share: firstShare, model: c}
	if own := d.Backend.Info().WeightBytes; own > 0 && info.WeightBytes > 0 {
		m.share = min(m.share, float64(own)/float64(info.WeightBytes))
	}
	return m
}

// forget is for an engine whose pages are empty again.
func (d *drafts) forget() {
	if d.model != nil {
		d.model.known.Forget()
	}
}

// ahead fills a step with what the draft model does before it, and notes what it
// then knows. running is the number of sequences that are computed at present.
func (d *drafts) ahead(s *runner.Step, running int) {
	s.Ahead, s.DraftCopies = s.Ahead[:0], s.DraftCopies[:0]
	m := d.model
	if m == nil {
		return
	}
	for _, c := range s.Plan.Copies {
		if m.known.Copy(c.Src, c.Dst) {
			s.DraftCopies = append(s.DraftCopies, c)
		}
	}
	prompts := len(d.items) == 0 && m.keepsUp(s.Plan, running)
	rows := m.rows
	for i := range s.Plan.Items {
		it := &s.Plan.Items[i]
		m.known.Lose(it.Tables[0], it.Start, it.Start+it.Count)
		a := runner.Ahead{Tokens: it.Seq.Tokens(), From: m.known.Of(it.Tables[0], it.Start)}
		switch {
		case len(d.items) > 0:
			a.To = a.From + d.items[i].piece
			if d.items[i].model > 0 && it.Draft > 0 {
				a.To, a.Guesses = it.Start+it.Count-it.Draft, it.Draft
			}
		case prompts && isPrompt(*it):
			a.To = min(it.Start+it.Count, a.From+max(it.Count, mostPiece), m.context)
		}
		if a.Guesses == 0 {
			a.To = min(a.To, a.From+rows)
		}
		a.To = max(a.To, a.From)
		rows -= a.To - a.From
		m.known.Learn(it.Tables[0], a.From, a.To)
		s.Ahead = append(s.Ahead, a)
	}
}

// keepsUp says whether the draft model computes a plan's prompts beside the model:
// where it would guess for so many sequences.
func (m *draftModel) keepsUp(p *sched.Plan, running int) bool {
	if !slices.ContainsFunc(p.Items, isPrompt) {
		return false
	}
	if m.whim != nil {
		return m.whim(3) > 0
	}
	m.bids = m.bids[:0]
	for range running {
		m.bids = append(m.bids, bid{trust: float64(m.trust), most: m.most})
	}
	plain := float64(running) / m.model.of(running)
	return m.best(step{rows: running, left: running * m.most, plain: plain}, float64(running)) > worthwhile*plain
}

// isPrompt says that an item is part of a prompt that guesses may follow.
func isPrompt(it sched.Item) bool { return it.Count > 1 && !it.Guided }

// pieceRows is how many rows the draft model may compute in a step of so many rows to
// catch up: those that take no longer than the step itself.
func (m *draftModel) pieceRows(rows int) int {
	most := min(m.rows-m.slots, mostPiece)
	if m.whim != nil {
		return m.whim(most + 1)
	}
	n, limit := min(leastPiece, most), m.model.of(rows)
	for n < most && m.cost(n+1) <= limit {
		n++
	}
	return n
}

// cost is what a pass of so many rows takes; where none of so few was measured, a
// share of the model's time at most.
func (m *draftModel) cost(rows int) float64 {
	share := m.share * m.model.of(rows)
	switch {
	case m.costs.last == 0 || m.costs.steps-m.costs.last >= stale:
		return share
	case m.costs.least(rows) == 0:
		return min(share, m.costs.of(rows))
	}
	return m.costs.of(rows)
}

// learn takes a step in that went well: what the guesses were worth, and what passes
// have taken.
func (d *drafts) learn(s *runner.Step) {
	m := d.model
	if m == nil {
		return
	}
	m.costs.steps++ // what is not tried grows old, too
	for _, p := range s.Passes {
		if m.passes++; m.passes > warmUp {
			m.costs.observe(p.Rows, p.Took.Seconds())
		}
	}
	tried := false
	for i := range s.Ahead {
		it, a := &s.Plan.Items[i], &s.Ahead[i]
		c := owner(it)
		if a.Guesses == 0 {
			if c.trust > 0 {
				c.trust.Pass()
			}
			continue
		}
		made := it.Draft - s.Results[i].Left
		if made == 0 || len(s.Results[i].Tokens) == 0 {
			continue
		}
		tried = true
		right := len(s.Results[i].Tokens) - 1
		c.trust.Note(made, right)
		m.trust.Note(made, right)
		// Of its guesses it has computed all but the last.
		m.known.Learn(it.Tables[0], a.To, a.To+min(right, made-1))
	}
	if !tried {
		m.trust.Pass()
	}
}
