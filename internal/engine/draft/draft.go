// Package draft guesses at the tokens that follow a sequence. A guess costs no
// truth, only time: whoever uses it samples each token all the same. The package
// is pure: it knows no device, no scheduler and no clock.
package draft

// Source guesses at what follows one sequence. It serves one goroutine.
type Source interface {
	// Learn takes the sequence's tokens so far: those of the last call, unchanged, and
	// perhaps more behind them. The slice is kept until the next call. The first call
	// has the prompt and what was generated since.
	Learn(tokens []int32)
	// Guess appends to dst at most n guesses at the tokens that follow those learnt.
	Guess(dst []Guess, n int) []Guess
}

// Guess is one guessed token.
type Guess struct {
	Token int32
	Odds  float64 // how likely it is right if those before it are, 0 to 1
}
