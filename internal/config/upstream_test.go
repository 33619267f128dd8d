package config

import (
	"reflect"
	"testing"

	"github.com/spf13/pflag"
)

func TestUpstreamsHaveANameOrAURLAlone(t *testing.T) {
	u := Upstream{Targets: []string{"http://a:1", "big=http://b:2/v1", "https://c/v1?x=y"}}
	want := []Target{{"", "http://a:1"}, {"big", "http://b:2/v1"}, {"", "https://c/v1?x=y"}}
	if got := u.List(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestUpstreamAndModelBelongTogetherOrNot(t *testing.T) {
	for _, c := range []struct {
		args []string
		ok   bool
	}{
		{[]string{"--upstream", "http://a:1"}, true},
		{[]string{"--upstream", "http://a:1", "--upstream-kind", "llama.cpp"}, true},
		{[]string{"--upstream", "http://a:1", "--model", "M"}, false},
		{[]string{"--upstream", "http://a:1", "--model", "M", "--upstream-mode", "completions"}, true},
		{[]string{"--upstream", "http://a:1", "--upstream-mode", "completions"}, false},
		{[]string{"--model", "M", "--upstream-mode", "completions"}, false},
	} {
		s := DefaultServe()
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		s.AddFlags(NewFlags(set))
		if err := set.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(); (err == nil) != c.ok {
			t.Errorf("%v: %v", c.args, err)
		}
	}
}
