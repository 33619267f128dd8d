package dispatch

import "github.com/reasond/reasond/internal/llm"

// candidate is what is known of an engine when a request comes.
type candidate struct {
	state state
	known int  // blocks of the prompt that it was sent before
	open  int  // choices under way
	out   bool // it has refused this request
}

// state orders engines: the ready ones are asked before any other.
type state uint8

const (
	ready   state = iota
	waiting       // its device is being opened anew: requests queue there
	stuck         // stalled, or beyond reach: it says so itself
)

func stateOf(s *llm.Stats) state {
	switch {
	case s.Stalled || s.Unreachable:
		return stuck
	case s.Restarting:
		return waiting
	}
	return ready
}

// choose names the engine for a request, -1 for none:
//
//  1. only those in the best state that any has, without those that refused;
//  2. of these the one that knows most of the prompt, the least busy if several
//     do, unless it has more than imbalance choices beyond the least busy one;
//  3. then the least busy one; of equals the first from turn on, so that they
//     take turns.
func choose(all []candidate, imbalance, turn int) int {
	best := stuck // 1
	for _, c := range all {
		if !c.out {
			best = min(best, c.state)
		}
	}
	knows, idle := -1, -1
	for k := range all {
		i := (turn + k) % len(all)
		c := &all[i]
		if c.out || c.state != best {
			continue
		}
		if idle < 0 || c.open < all[idle].open {
			idle = i
		}
		if c.known > 0 && (knows < 0 || c.known > all[knows].known || c.known == all[knows].known && c.open < all[knows].open) {
			knows = i
		}
	}
	if knows >= 0 && all[knows].open-all[idle].open <= imbalance { // 2
		return knows
	}
	return idle // 3
}
