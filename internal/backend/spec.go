package backend

import (
	"errors"
	"fmt"
	"math"
)

// mostElements of a part: rows and columns are int32 where kernels count them.
const mostElements = math.MaxInt32 * 256

// Check says why a spec makes no matrix: a part without rows, parts of unequal
// width, data that is not what the shape says, biases of another length, more
// rows than the vocabulary that they are a part of.
func (s LinearSpec) Check() error {
	if len(s.Parts) == 0 || s.Bias != nil && len(s.Bias) != len(s.Parts) {
		return fmt.Errorf("%d parts, %d biases", len(s.Parts), len(s.Bias))
	}
	if s.Gated && (len(s.Parts) != 2 || s.Parts[0].Rows() != s.Parts[1].Rows()) {
		return errors.New("a gated linear has two parts of equal shape")
	}
	rows := 0
	for i, p := range s.Parts {
		if len(p.Shape) != 2 || p.Rows() == 0 || p.Cols() == 0 || p.Cols() != s.Parts[0].Cols() || p.Elements() > mostElements {
			return fmt.Errorf("part %q has shape %v", p.Name, p.Shape)
		}
		if err := p.Validate(); err != nil {
			return err
		}
		rows += p.Rows()
		if s.Bias == nil || len(s.Bias[i].Shape) == 0 {
			continue
		}
		if bias := s.Bias[i]; len(bias.Shape) != 1 || bias.Cols() != p.Rows() {
			return fmt.Errorf("bias %q of part %q has shape %v", bias.Name, p.Name, bias.Shape)
		}
	}
	if v := s.Vocab; v.First < 0 || v.Total > 0 && v.First+rows > v.Total {
		return fmt.Errorf("rows %d to %d of a vocabulary of %d", v.First, v.First+rows, v.Total)
	}
	return nil
}

// Chooses says whether TopK of so many experts can be chosen, from the groups that
// remain.
func (s RouterSpec) Chooses(experts int) bool {
	if s.TopK < 1 || s.Scoring > SigmoidTopK {
		return false
	}
	if s.Groups == 0 {
		return s.TopK <= experts
	}
	return s.Groups > 0 && experts%s.Groups == 0 && s.TopGroups > 0 && s.TopGroups <= s.Groups && s.TopK <= experts/s.Groups*s.TopGroups
}
