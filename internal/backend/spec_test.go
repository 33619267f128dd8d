package backend

import (
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/weights"
)

func TestWhatIsNoMatrixIsRefused(t *testing.T) {
	m := func(shape ...int) weights.Tensor {
		n := 4
		for _, d := range shape {
			n *= d
		}
		return weights.Tensor{Name: "t", Shape: shape, Data: make([]byte, n)}
	}
	parts := func(list ...weights.Tensor) []weights.Tensor { return list }
	short := m(4, 8)
	short.Data = short.Data[:100]
	for says, s := range map[string]LinearSpec{
		"":                       {Parts: parts(m(4, 8), m(2, 8)), Bias: parts(m(4), weights.Tensor{}), Vocab: VocabPart{2, 8}},
		"0 parts":                {},
		"1 parts, 2 biases":      {Parts: parts(m(4, 8)), Bias: parts(m(4), m(4))},
		"two parts":              {Parts: parts(m(4, 8), m(2, 8)), Gated: true},
		"shape [2 7]":            {Parts: parts(m(4, 8), m(2, 7))},
		"shape [0 8]":            {Parts: parts(m(0, 8))},
		"shape [8]":              {Parts: parts(m(8))},
		"100":                    {Parts: parts(short)},
		`bias "t" of part "t"`:   {Parts: parts(m(4, 8)), Bias: parts(m(3))},
		"rows 3 to 7 of a vocab": {Parts: parts(m(4, 8)), Vocab: VocabPart{3, 6}},
		"rows -1 to":             {Parts: parts(m(4, 8)), Vocab: VocabPart{-1, 6}},
	} {
		err := s.Check()
		if says == "" {
			if err != nil {
				t.Error(err)
			}
		} else if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}
