package cuda

import (
	"encoding/binary"
	"fmt"
)

// SampleSlot is a slot's sampling state in device memory, as sample.cuh has it.
// Package internal/engine/sample defines what the fields mean; the values are
// those that kernels compute with.
type SampleSlot struct {
	Seed, Choice uint64  // Philox
	Table        Ptr     // uint16 [vocab], see TableSeen; 0: the logits are taken as they are
	Lists        Ptr     // Biases pairs (id, float32 bits) by ascending id, then Ends ids, ascending
	Frequency    float64 // penalty per occurrence
	TopP         float64 // 1 or more: off
	Least        uint64  // weights below are 0, in units of 1/SampleOne; at least 1
	Scale        float32 // log2(e)/temperature; 0: greedy
	Repetition   float32 // 1: off
	Presence     float32
	TopK         int32 // 0: off
	Biases, Ends int32 // lengths of Lists' parts
	MinTokens    int32 // Ends are forbidden while Generated is less
	Generated    int32 // the device counts on
	Likely       int32 // top log-probabilities, at most MaxLikely; -1: none, nor the token's
	Counts       int32 // 1: generated tokens are counted in Table
}

// SampleSlotBytes is the size of a SampleSlot.
const SampleSlotBytes = 7*8 + 10*4

// SampleOne is the weight of a row's likeliest token: weights are integers, so
// that their sums do not depend on an order.
const SampleOne = 1 << 40

// A table's element: how often a token was generated in the low bits, and flags.
const (
	TableTimes  = 1<<14 - 1 // occurrences stay at this from there on
	TableListed = 1 << 14   // the token is in Lists
	TableSeen   = 1 << 15   // the token is in the prompt or was generated
)

// Append appends the slot as the device reads it.
func (s *SampleSlot) Append(b []byte) []byte {
	b, err := binary.Append(b, binary.LittleEndian, s)
	if err != nil {
		panic(err) // a field without a fixed size
	}
	return b
}

// Bytes of a message to sample_set before its lists, and of an inbox before its
// messages.
const (
	SampleMessageBytes = 4*4 + SampleSlotBytes
	sampleInboxWords   = 2
)

// SampleInboxBytes is the size of an inbox without its messages' bytes.
func SampleInboxBytes(maxSeqs int) int64 { return 4 * int64((sampleInboxWords+maxSeqs+1)&^1) }

// SampleSets makes slots what the messages in an inbox say, no two of them about
// one slot. The inbox:
//
//	uint32 n; messages, at most maxSeqs
//	uint32 0
//	uint32 offset [n]; of each message from the inbox's beginning, a multiple of 8
//
// and a message:
//
//	int32 slot; words of Lists; entries of Table; last token of the slot
//	SampleSlot
//	int32 Lists' words
//	uint32 id, uint32 value: Table's entries; all others become 0
func SampleSets(maxSeqs int, inbox, slots, last Ptr, vocab int) (Launch, error) {
	if maxSeqs < 1 || vocab < 1 || vocab > maxVocab {
		return Launch{}, fmt.Errorf("cuda: setting %d slots of a vocabulary of %d", maxSeqs, vocab)
	}
	l := Launch{
		Kernel: "sample_set", Grid: [3]uint32{uint32(maxSeqs), 1, 1}, Block: [3]uint32{sampleThreads, 1, 1},
		Args: []uint64{uint64(inbox), uint64(slots), uint64(last), Int(vocab)},
	}
	return l, l.Check()
}
