package draft

const (
	minMatch = 2  // tokens that must have occurred before
	maxMatch = 16 // a longer match says nothing more
	maxChain = 16 // earlier occurrences that are compared
)

// Ngrams guesses that what followed the last tokens when they occurred before
// follows them again (prompt lookup decoding, A. Saxena, 2023). It goes by the
// longest match, of equal ones by the latest.
//
// Earlier occurrences of the last two tokens are found as in LZ77: head has the
// latest place for each hash of two tokens, prev the one before it; few are looked
// at. A match that comes true goes on by itself. So a token costs a constant, and
// at most 16 bytes of memory.
//
// Every token is also a trial of what would have been guessed, so that Odds are
// known without a draft having been made.
type Ngrams struct {
	tokens []int32
	head   []int32 // by hash: 1 + index of the token behind; 0: none. A power of two
	prev   []int32 // by index of the token behind: the same for the occurrence before

	next   int // index of the token that follows the match; 0: there is no match
	length int // of the match, at most maxMatch
	odds   odds
}

// NewNgrams knows no tokens.
func NewNgrams() *Ngrams { return &Ngrams{odds: firstOdds} }

// Learn implements Source.
func (g *Ngrams) Learn(tokens []int32) {
	from := len(g.tokens)
	g.tokens = tokens
	if from == len(tokens) {
		return
	}
	g.reserve(from, len(tokens))
	if from == 0 { // what was asked is no trial of what will be said
		for end := range tokens {
			g.index(end)
		}
		g.match(len(tokens))
		g.index(len(tokens))
		return
	}
	for i := from; i < len(tokens); i++ {
		g.advance(i)
	}
}

// advance takes token i in: it is what was to be guessed.
func (g *Ngrams) advance(i int) {
	hit := g.next > 0 && g.tokens[g.next] == g.tokens[i]
	if g.next > 0 {
		g.odds.note(g.length, hit)
	}
	if hit {
		g.next++
		g.length = min(g.length+1, maxMatch)
	} else {
		g.next, g.length = 0, 0
	}
	g.match(i + 1)
	g.index(i + 1)
}

// Guess implements Source. Where the match runs into the end, what was guessed
// goes on as what was read: a loop is guessed for as long as is wanted.
func (g *Ngrams) Guess(dst []Guess, n int) []Guess {
	if g.next == 0 {
		return dst
	}
	first := len(dst)
	for k := range n {
		var token int32
		if at := g.next + k; at < len(g.tokens) {
			token = g.tokens[at]
		} else {
			token = dst[first+at-len(g.tokens)].Token
		}
		dst = append(dst, Guess{token, g.odds.of(g.length + k)})
	}
	return dst
}

// match looks for a longer match of the tokens before end than there is.
func (g *Ngrams) match(end int) {
	if end < minMatch || g.length == maxMatch {
		return
	}
	at := g.head[g.hash(end)]
	for n := 0; at > 0 && n < maxChain && g.length < maxMatch; n++ {
		if l := g.common(int(at)-1, end); l >= minMatch && l > g.length {
			g.next, g.length = int(at)-1, l
		}
		at = g.prev[at-1]
	}
}

// common is how many tokens before a and before b are the same, at most maxMatch;
// a < b.
func (g *Ngrams) common(a, b int) int {
	n := 0
	for n < min(a, maxMatch) && g.tokens[a-1-n] == g.tokens[b-1-n] {
		n++
	}
	return n
}

// index makes the two tokens before end known.
func (g *Ngrams) index(end int) {
	if end < minMatch {
		return
	}
	h := g.hash(end)
	g.prev[end], g.head[h] = g.head[h], int32(end)+1
}

func (g *Ngrams) hash(end int) uint32 {
	pair := uint64(uint32(g.tokens[end-2]))<<32 | uint64(uint32(g.tokens[end-1]))
	return uint32(pair*0x9e3779b97f4a7c15>>32) & uint32(len(g.head)-1)
}

// reserve makes room for n tokens, of which the first ones are known.
func (g *Ngrams) reserve(known, n int) {
	if n < len(g.prev) {
		return
	}
	size := max(len(g.head), 256)
	for size <= n {
		size *= 2
	}
	g.head, g.prev = make([]int32, size), make([]int32, size)
	for end := range known + 1 {
		g.index(end)
	}
}
