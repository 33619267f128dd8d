package config

import (
	"slices"
	"testing"
)

func TestListsOfNumbersReplaceTheirDefault(t *testing.T) {
	list := []int{7}
	v := Ints(&list, "n", 1, 64)
	if v.String() != "7" || v.Type() != "n,..." {
		t.Errorf("%q, %q", v.String(), v.Type())
	}
	if err := v.Set("1, 4"); err != nil || !slices.Equal(list, []int{1, 4}) {
		t.Errorf("%v, %v", list, err)
	}
	if err := v.Set("16"); err != nil || !slices.Equal(list, []int{1, 4, 16}) {
		t.Errorf("a second use: %v, %v", list, err)
	}
	for _, text := range []string{"", "1,", "a", "0", "65", "1.5"} {
		if err := v.Set(text); err == nil || !slices.Equal(list, []int{1, 4, 16}) {
			t.Errorf("%q: %v, %v", text, list, err)
		}
	}
	var rates []float64
	f := Floats(&rates, "per s", 0.5, 10)
	if err := f.Set("0.5,10"); err != nil || f.String() != "0.5,10" {
		t.Errorf("%v, %v", rates, err)
	}
	for _, text := range []string{"", "0.4", "NaN", "x", "1,11"} {
		if err := f.Set(text); err == nil {
			t.Errorf("%q became %v", text, rates)
		}
	}
}
