package config

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestFlagsThatDoNothingHereAreTakenAndNamed(t *testing.T) {
	s := DefaultServe()
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	s.AddFlags(NewFlags(set))
	line := "M --gpu-memory-utilization 0.9 --trust-remote-code --jinja -ngl 99 --mem_fraction_static=0.8"
	if err := set.Parse(Spell(strings.Fields(line))); err != nil {
		t.Fatal(err)
	}
	if err := s.Model.Arguments(set.Args()); err != nil || s.Model.Path != "M" {
		t.Errorf("%v, model %q", err, s.Model.Path)
	}
	if len(s.NoEffect) != 5 || !strings.HasPrefix(s.NoEffect[0], "--gpu-memory-utilization has no effect: ") {
		t.Errorf("notes: %q", s.NoEffect)
	}
	if err := set.Parse([]string{"--gpu-memory-utilization", "lots"}); err == nil {
		t.Error("a value that makes no sense was taken")
	}
}
