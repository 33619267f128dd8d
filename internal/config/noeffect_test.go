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
	line := "M --cont-batching --trust-remote-code --jinja -ngl 99 --disable_log_stats"
	if err := set.Parse(Spell(strings.Fields(line))); err != nil {
		t.Fatal(err)
	}
	if err := s.Model.Arguments(set.Args()); err != nil || s.Model.Path != "M" {
		t.Errorf("%v, model %q", err, s.Model.Path)
	}
	if len(s.NoEffect) != 5 || !strings.HasPrefix(s.NoEffect[0], "--cont-batching has no effect: ") {
		t.Errorf("notes: %q", s.NoEffect)
	}
	if err := set.Parse([]string{"--n-gpu-layers", "lots"}); err == nil {
		t.Error("a value that makes no sense was taken")
	}
}
