package draft

// odds are how often the token behind a match of each length has been the one
// that followed before: the longer the match, the likelier it is.
type odds [len(classes)]float64

// classes are the shortest lengths of a class.
var classes = [...]int{2, 3, 4, 6, 9, 13}

// firstOdds are of a sequence that is not known: low, for what is not quoted must
// not pay for guesses.
var firstOdds = odds{0.15, 0.25, 0.4, 0.6, 0.75, 0.85}

// memory is the share of the past in the odds after each trial.
const memory = 0.85

func class(length int) int {
	c := len(classes) - 1
	for c > 0 && length < classes[c] {
		c--
	}
	return c
}

func (o *odds) of(length int) float64 { return o[class(length)] }

func (o *odds) note(length int, right bool) {
	p := &o[class(length)]
	*p *= memory
	if right {
		*p += 1 - memory
	}
}
