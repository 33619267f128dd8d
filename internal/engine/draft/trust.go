package draft

// Trust is the odds that a draft model's next guess is right, by what has come true
// of late.
type Trust float64

// FirstTrust is in a draft model that is not known: enough to give it a trial.
const FirstTrust Trust = 0.7

const (
	trustMemory = 0.9       // share of the past after each trial
	returning   = 1.0 / 512 // share of the way back to FirstTrust in a step without a trial
)

// Note takes in how a draft came out: so many guesses made, of which the first right
// ones were right. What stands behind a wrong guess was no trial.
func (t *Trust) Note(made, right int) {
	for range right {
		*t += (1 - *t) * (1 - trustMemory)
	}
	if right < made {
		*t *= trustMemory
	}
}

// Pass lets a step go by without a trial: what is in disgrace is tried again some day.
func (t *Trust) Pass() { *t += max(FirstTrust-*t, 0) * returning }
