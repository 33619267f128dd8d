package cuda

import (
	"encoding/binary"
	"math"
	"testing"
)

// The device reads a slot by sample.cuh's struct: its size and the places of some
// fields are checked here, the size there too.
func TestSampleSlotIsTheKernelsStruct(t *testing.T) {
	s := SampleSlot{Seed: 1, Table: 2, TopP: 0.5, Scale: 3, TopK: 4, Generated: 5, Counts: 6}
	b := s.Append([]byte{9})[1:]
	if len(b) != SampleSlotBytes {
		t.Fatalf("%d bytes, must be %d", len(b), SampleSlotBytes)
	}
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	if word(0) != 1 || word(16) != 2 || math.Float64frombits(binary.LittleEndian.Uint64(b[40:])) != 0.5 ||
		math.Float32frombits(word(56)) != 3 || word(68) != 4 || word(84) != 5 || word(92) != 6 {
		t.Errorf("fields are not in their places: % x", b)
	}
}

func TestSamplingRefusesWhatDoesNotFit(t *testing.T) {
	good := Sampling{Vocab: 151936, Stride: 151936, MaxSeqs: 256}
	for name, c := range map[string]struct {
		change func(*Sampling)
		rows   int
		ok     bool
	}{
		"as it is":               {func(*Sampling) {}, 256, true},
		"one row":                {func(*Sampling) {}, 1, true},
		"no row":                 {func(*Sampling) {}, 0, false},
		"more rows than slots":   {func(*Sampling) {}, 257, false},
		"no vocabulary":          {func(s *Sampling) { s.Vocab = 0 }, 1, false},
		"a vocabulary too large": {func(s *Sampling) { s.Vocab, s.Stride = maxVocab+1, maxVocab+1 }, 1, false},
		"rows that overlap":      {func(s *Sampling) { s.Stride-- }, 1, false},
	} {
		s := good
		c.change(&s)
		launches, err := s.Launches(c.rows)
		if (err == nil) != c.ok || c.ok && len(launches) != 3 {
			t.Errorf("%s: %d launches, %v", name, len(launches), err)
		}
	}
	if l, err := good.Launches(3); err != nil || l[0].Grid != [3]uint32{38, 3, 1} || l[1].Grid[0] != 3 {
		t.Errorf("grids %v, %v", l, err)
	}
	if _, err := SampleSets(0, 0, 0, 0, 5); err == nil {
		t.Error("no slots are set")
	}
	for seqs, want := range map[int]int64{1: 16, 2: 16, 3: 24} {
		if got := SampleInboxBytes(seqs); got != want {
			t.Errorf("an inbox of %d begins its messages at %d, must be %d", seqs, got, want)
		}
	}
}
