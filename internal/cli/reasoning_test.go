package cli

import (
	"testing"

	"github.com/spf13/pflag"

	"github.com/reasond/reasond/internal/config"
	"github.com/reasond/reasond/internal/server"
)

// The flags of reasoning, as given, are how the server answers.
func TestReasoningFlagsReachTheServer(t *testing.T) {
	for _, c := range []struct {
		args []string
		want server.Reasoning
	}{
		{nil, server.Reasoning{}},
		{[]string{"--reasoning-field", "reasoning"}, server.Reasoning{Field: server.ReasoningField}},
		{[]string{"--reasoning-output=reasoning_content"}, server.Reasoning{Field: server.ReasoningContent}},
		{[]string{"--reasoning-field", "both"}, server.Reasoning{Field: server.BothFields}},
		{[]string{"--separate-reasoning=false"}, server.Reasoning{InLine: true}},
		{[]string{"--reasoning-format", "none"}, server.Reasoning{InLine: true}},
		{[]string{"--reasoning_format", "deepseek-legacy"}, server.Reasoning{Legacy: true}},
		{[]string{"--stream-reasoning=false", "--include-reasoning=false"}, server.Reasoning{Hold: true, Drop: true}},
	} {
		o := config.DefaultReasoning()
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.AddFlags(config.NewFlags(set))
		if err := set.Parse(c.args); err != nil {
			t.Errorf("%v: %v", c.args, err)
		} else if got := answersReasoning(o); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.args, got, c.want)
		}
	}
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	o := config.DefaultReasoning()
	o.AddFlags(config.NewFlags(set))
	if set.Parse([]string{"--reasoning-field", "thoughts"}) == nil {
		t.Error("reasoning goes into thoughts")
	}
}
