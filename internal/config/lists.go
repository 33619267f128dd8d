package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

type integers struct {
	p        *[]int
	min, max int
	name     string
	given    bool // the next value is added to the last, not to the default
}

// Ints is some whole numbers from min to max, with commas between them or in
// several uses; what is given replaces the default.
func Ints(p *[]int, name string, min, max int) pflag.Value {
	return &integers{p: p, min: min, max: max, name: name}
}

func (v *integers) Type() string { return v.name + ",..." }
func (v *integers) String() string {
	var words []string
	for _, n := range deref(v.p) {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, ",")
}

func (v *integers) Set(s string) error {
	var list []int
	for word := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil {
			return errors.New("not whole numbers with commas between them")
		}
		if n < v.min || n > v.max {
			return fmt.Errorf("%d: must be from %d to %d", n, v.min, v.max)
		}
		list = append(list, n)
	}
	if v.given {
		list = append(*v.p, list...)
	}
	*v.p, v.given = list, true
	return nil
}

type floats struct {
	p        *[]float64
	min, max float64
	name     string
}

// Floats is some numbers from min to max, with commas between them; what is given
// replaces the default.
func Floats(p *[]float64, name string, min, max float64) pflag.Value {
	return &floats{p, min, max, name}
}

func (v *floats) Type() string { return v.name + ",..." }
func (v *floats) String() string {
	var words []string
	for _, n := range deref(v.p) {
		words = append(words, strconv.FormatFloat(n, 'g', -1, 64))
	}
	return strings.Join(words, ",")
}

func (v *floats) Set(s string) error {
	var list []float64
	for word := range strings.SplitSeq(s, ",") {
		n, err := strconv.ParseFloat(strings.TrimSpace(word), 64)
		if err != nil || !(n >= v.min && n <= v.max) {
			return fmt.Errorf("%q: must be a number from %g to %g", word, v.min, v.max)
		}
		list = append(list, n)
	}
	*v.p = list
	return nil
}
