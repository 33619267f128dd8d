package cli

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/reasond/reasond/api/reasoning"
)

// rechunk parses raw under n splits and compares with want: first whole and
// byte by byte, then cut at random, into few pieces or into many.
func rechunk(d reasoning.Descriptor, start reasoning.Start, raw string, want []reasoning.Segment, n int, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range n {
		var pieces []string
		switch i {
		case 0:
			pieces = []string{raw}
		case 1:
			pieces = bytewise(raw)
		default:
			pieces = cutAtRandom(r, raw)
		}
		if got := parsePieces(d, start, pieces); !slices.Equal(got, want) {
			return fmt.Errorf("split %d of %d (--seed %d), cut at %s: %s", i+1, n, seed, offsets(pieces), difference(got, want))
		}
	}
	return nil
}

// cutAtRandom cuts a text between bytes into pieces of 1 to some longest length,
// which is drawn too.
func cutAtRandom(r *rand.Rand, raw string) []string {
	longest := 1
	for longest < len(raw) && r.IntN(6) > 0 {
		longest *= 2
	}
	var pieces []string
	for raw != "" {
		n := 1 + r.IntN(min(longest, len(raw)))
		pieces, raw = append(pieces, raw[:n]), raw[n:]
	}
	return pieces
}

// offsets names the places where a text was cut, the first of them if there are
// many.
func offsets(pieces []string) string {
	const most = 32
	var at []string
	end := 0
	for _, piece := range pieces[:max(len(pieces)-1, 0)] {
		if end += len(piece); len(at) == most {
			return strings.Join(at, ",") + fmt.Sprintf(",… (%d pieces)", len(pieces))
		}
		at = append(at, fmt.Sprint(end))
	}
	if len(at) == 0 {
		return "nowhere"
	}
	return strings.Join(at, ",")
}

// difference says where two parses of a text part.
func difference(got, want []reasoning.Segment) string {
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			return fmt.Sprintf("segment %d is %s instead of %s", i+1, describeSegment(got, i), describeSegment(want, i))
		}
	}
	return "no difference"
}

func describeSegment(segments []reasoning.Segment, i int) string {
	if i >= len(segments) {
		return "missing"
	}
	s := segments[i]
	return fmt.Sprintf("%s [%d,%d) %.40q", s.Kind, s.Start, s.End, s.Text)
}

func bytewise(raw string) []string {
	pieces := make([]string, len(raw))
	for i := range pieces {
		pieces[i] = raw[i : i+1]
	}
	return pieces
}
