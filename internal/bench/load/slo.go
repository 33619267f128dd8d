package load

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SLO is what a request must keep to count as served well; zero: any time will do.
type SLO struct {
	TTFT   time.Duration // to the first token
	Answer time.Duration // to the first token of the answer, behind reasoning
	ITL    time.Duration // from token to token, for 99 of 100 gaps of the request
	TPOT   time.Duration // from token to token, in the mean of the request
	E2E    time.Duration // to the end
}

func (s *SLO) fields() map[string]*time.Duration {
	return map[string]*time.Duration{"ttft": &s.TTFT, "answer": &s.Answer, "itl": &s.ITL, "tpot": &s.TPOT, "e2e": &s.E2E}
}

var sloNames = []string{"ttft", "answer", "itl", "tpot", "e2e"}

// ParseSLO reads bounds such as ttft=500ms,itl=50ms.
func ParseSLO(text string) (SLO, error) {
	var s SLO
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return s, fmt.Errorf("%q is no bound such as ttft=500ms", part)
		}
		field, known := s.fields()[name]
		if !known {
			return s, fmt.Errorf("%q is none of %s", name, strings.Join(sloNames, ", "))
		}
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return s, fmt.Errorf("%s: %q is no time such as 500ms", name, value)
		}
		*field = d
	}
	return s, nil
}

// String is the bounds as ParseSLO reads them.
func (s SLO) String() string {
	var parts []string
	for _, name := range sloNames {
		if d := *s.fields()[name]; d > 0 {
			parts = append(parts, name+"="+d.String())
		}
	}
	return strings.Join(parts, ",")
}

// OfTokens names a bound that only a streamed answer can be held to; empty: there
// is none.
func (s *SLO) OfTokens() string {
	for _, name := range sloNames {
		if name != "e2e" && *s.fields()[name] > 0 {
			return name
		}
	}
	return ""
}

// Set reads bounds; with String and Type it makes an SLO a flag's value.
func (s *SLO) Set(text string) error {
	parsed, err := ParseSLO(text)
	if err == nil && parsed == (SLO{}) {
		err = errors.New("no bound")
	}
	if err == nil {
		*s = parsed
	}
	return err
}

// Type is what help calls it.
func (SLO) Type() string { return "bounds" }

// kept says whether a request was served well.
func (s SLO) kept(r *Request) bool {
	within := func(bound, took time.Duration) bool { return bound == 0 || took <= bound }
	if r.Kind != "" || !within(s.TTFT, r.First) || !within(s.E2E, r.Total) {
		return false
	}
	if s.Answer > 0 && (r.Answer == 0 || r.Answer > s.Answer) {
		return false
	}
	gaps := r.gaps()
	slices.Sort(gaps)
	if len(gaps) > 0 && !within(s.ITL, gaps[(len(gaps)-1)*99/100]) {
		return false
	}
	return within(s.TPOT, r.perToken())
}
