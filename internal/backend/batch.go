package backend

import "github.com/reasond/reasond/internal/llm"

// Batch is everything that changes between steps. The runner fills it in place;
// its slices have fixed capacity (Config) and are never reallocated.
type Batch struct {
	Rows int // token rows this step

	Token []int32 // [Rows] token id; negative: the last token sampled in slot ^Token (not yet known to the host)
	Pos   []int32 // [Rows] position in the sequence
	Seq   []int32 // [Rows] index into Seqs

	Seqs   []Seq
	Pages  []int32 // the sequences' page tables, one behind the other
	Copies []Copy  // page copies done before the forward

	LogitRows []int32  // rows whose logits are wanted; logits row i belongs to LogitRows[i]
	Samples   []Sample // what to sample from those logits
	Masks     []uint32 // [len(Samples)][MaskWords] allowed ids; used where Sample.Masked
	MaskWords int      // (vocab+31)/32
	// Guided says that masks are being made: the forward should begin at once. It
	// is a hint for speed; where it is false and a Sample is Masked all the same,
	// nothing is wrong.
	Guided bool

	Sampled []Sampled // [len(Samples)] results, valid after Sync until the next Forward
}

// Seq is one sequence's part of a step: Count rows from First, ending at
// length Length (tokens in KV after this step); its page table is
// Pages[Table : Table+(Length+PageTokens-1)/PageTokens].
type Seq struct {
	Slot, First, Count, Length, Table int32
}

// Copy copies page Src to Dst in every layer: copy on write of a fork.
type Copy struct{ Src, Dst int32 }

// Sample asks for one token from logits row Logits, for the sequence in Slot.
// Pos is the position that the new token will have: the Philox counter.
//
// Drafted says that the token which the row was fed with is a guess at what the
// slot's Sample before this one gives. If it is not that token, neither this nor
// any later Drafted Sample of the slot is taken: nothing is drawn, nothing is
// counted, and Sampled.Token is NotTaken. Samples of one slot lie side by side
// in order of position. Only where Info.Drafts.
type Sample struct {
	Slot, Logits, Pos int32
	Masked            bool
	Drafted           bool
}

// NotTaken is Sampled.Token behind a wrong guess.
const NotTaken int32 = -1

// Sampled is a sampled token. Logprob is the natural log of its probability
// under the unmodified logits (temperature 1, no penalties), as vLLM reports
// it; it and Top are only set when the slot asks for log-probabilities. Top's
// storage is reused: copy it before the next Forward. Err says that this row
// could not be sampled (its logits hold a NaN, its mask allows nothing); Token
// is 0 then and only this row's request fails.
type Sampled struct {
	Token   int32
	Logprob float32
	Top     []llm.TokenLogprob
	Err     error
}

// Slot is a sequence's persistent sampling state on the device. The device
// keeps the counts of generated tokens up to date by itself as it samples.
type Slot struct {
	Params    llm.SamplingParams
	Choice    int     // second half of the Philox key (Seed, Choice)
	Prompt    []int32 // for the repetition penalty
	Generated []int32 // tokens generated before now (a preempted sequence comes back)
	EOS       []int32 // ids that may not be sampled before MinTokens, with Params.StopIDs
}
