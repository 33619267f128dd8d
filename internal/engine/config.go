package engine

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/engine/draft"
)

// Config is an Engine's settings. Zero fields with a default take it.
type Config struct {
	Backend backend.Config // what the backend was made with

	Model string  // names the weights in the prefix cache's scope
	EOS   []int32 // tokens that end a choice unless it ignores them

	NoPrefixCache bool // no request reuses another's pages

	MaxChoices  int           // most choices of a request; default 128
	MaxWaiting  int           // requests that may wait beyond those that MaxSeqs slots run; default 256
	StallLimit  time.Duration // a step longer than this marks the engine stalled; default 30 s
	MaskWorkers int           // goroutines that compute guides' masks; default 2

	// MaxPrefillStall bounds how long prompt rows may delay a step that also
	// decodes; default 100 ms. A step of prompts alone may take ten times that.
	// It never pushes prefill under 32 rows a step.
	MaxPrefillStall time.Duration

	MaxPreemptions int // times a choice may lose its pages before they are reserved for it; default 3
	StepRows       int // most token rows of a step, MaxSeqs to MaxRows; default Backend.MaxRows
	PrefillRows    int // most prompt rows of a step; default StepRows

	// DraftTokens is the most tokens that are guessed ahead of a choice in one step,
	// where the backend can check guesses; 0: none. They change no answer.
	DraftTokens int

	// Draft guesses too, where the tokens so far do not; nil: no model does.
	Draft *DraftModel

	// Reopen makes a backend anew, program built, of the same model and
	// configuration, after a step has failed with backend.ErrLost and the lost
	// one was closed. It may take its time; it is called from one goroutine at a
	// time. nil: a lost backend fails every later step.
	Reopen func() (backend.Backend, error)

	Log *slog.Logger // faults of steps and stalls; default slog.Default()

	tweak tweak
}

// tweak is what only this package's tests change.
type tweak struct {
	pageOrder []int               // order in which fresh pages are handed out
	poison    int                 // over 0: this page, the pool's end, is copied over every page handed out
	overlap   int                 // steps under way at most; 0: 2
	guesses   func() draft.Source // what guesses for a choice; nil: draft.NewNgrams
	reckless  bool                // guesses are made whether they pay or not
	whim      func(n int) int     // 0 to n-1, in place of what pays, for a draft model; nil: none
	landed    func(steps uint64)  // called by the loop as a step comes back
}

func (c *Config) setDefaults() {
	if c.MaxChoices == 0 {
		c.MaxChoices = 128
	}
	if c.MaxWaiting == 0 {
		c.MaxWaiting = 256
	}
	if c.StallLimit == 0 {
		c.StallLimit = 30 * time.Second
	}
	if c.MaskWorkers == 0 {
		c.MaskWorkers = 2
	}
	if c.MaxPrefillStall == 0 {
		c.MaxPrefillStall = 100 * time.Millisecond
	}
	if c.MaxPreemptions == 0 {
		c.MaxPreemptions = 3
	}
	if c.StepRows == 0 {
		c.StepRows = c.Backend.MaxRows
	}
	if c.PrefillRows == 0 {
		c.PrefillRows = c.StepRows
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.tweak.overlap == 0 {
		c.tweak.overlap = 2
	}
	if c.tweak.guesses == nil {
		c.tweak.guesses = func() draft.Source { return draft.NewNgrams() }
	}
}

// validate names the first field that is out of range.
func (c *Config) validate() error {
	if err := c.Backend.Validate(); err != nil {
		return err
	}
	for _, f := range []struct {
		name          string
		value, lo, hi int
	}{
		{"MaxChoices", c.MaxChoices, 1, 1 << 16}, {"MaxWaiting", c.MaxWaiting, 1, 1 << 24},
		{"MaskWorkers", c.MaskWorkers, 1, 1024}, {"MaxPreemptions", c.MaxPreemptions, 1, 1 << 16},
		{"StepRows", c.StepRows, c.Backend.MaxSeqs, c.Backend.MaxRows}, {"PrefillRows", c.PrefillRows, 1, c.StepRows},
		{"DraftTokens", c.DraftTokens, 0, MaxDraftTokens},
	} {
		if f.value < f.lo || f.value > f.hi {
			return fmt.Errorf("engine: %s is %d, must be %d to %d", f.name, f.value, f.lo, f.hi)
		}
	}
	if c.Draft != nil {
		if d := c.Draft.Config; d.Pages != c.Backend.Pages || d.MaxSeqs != c.Backend.MaxSeqs || d.MaxRows < c.Backend.MaxSeqs || d.LogitRows() < d.MaxSeqs {
			return fmt.Errorf("engine: the draft model has %d pages, %d slots and %d rows, the model %d, %d and %d", d.Pages, d.MaxSeqs, d.MaxRows,
				c.Backend.Pages, c.Backend.MaxSeqs, c.Backend.MaxRows)
		}
	}
	if c.StallLimit < time.Millisecond || c.MaxPrefillStall < time.Millisecond {
		return fmt.Errorf("engine: StallLimit is %v and MaxPrefillStall %v, must be at least 1ms", c.StallLimit, c.MaxPrefillStall)
	}
	return nil
}
