package config

import (
	"errors"
	"strconv"
)

// noEffect are flags of other servers that change nothing here: command lines
// that carry them work, and the log says that they did nothing. A flag that
// would change an answer is never among them.
var noEffect = []struct {
	name   string
	toggle bool // takes no value
	why    string
}{
	{"n-gpu-layers", false, "all layers run on one device, see --device"},
	{"trust-remote-code", true, "no model's code is ever run"},
	{"jinja", true, "chat templates are always Jinja"},
	{"enable-chunked-prefill", true, "prefill is always chunked"},
	{"enable-auto-tool-choice", true, "tools are always used where a request offers them"},
	{"cont-batching", true, "batching is always continuous"},
	{"enable-metrics", true, "/metrics is always there"},
	{"metrics", true, "/metrics is always there"},
	{"disable-log-requests", true, "the log never holds prompts or answers"},
	{"disable-log-stats", true, "figures are in /metrics, not in the log"},
}

// unused is the value of such a flag.
type unused struct {
	used   *[]string
	toggle bool
	note   string
}

func (v *unused) String() string   { return "" }
func (v *unused) IsBoolFlag() bool { return v.toggle }
func (v *unused) Type() string     { return "value" }
func (v *unused) Set(s string) error {
	var err error
	if v.toggle {
		_, err = strconv.ParseBool(s)
	} else {
		_, err = strconv.ParseFloat(s, 64)
	}
	if err != nil {
		return errors.New("not a value that this flag has elsewhere")
	}
	*v.used = append(*v.used, v.note)
	return nil
}

// addNoEffect adds those flags; notes of the ones given go to *used.
func addNoEffect(f *Flags, used *[]string) {
	for _, n := range noEffect {
		f.Hidden(&unused{used, n.toggle, "--" + n.name + " has no effect: " + n.why}, n.name, n.why)
	}
	f.aliases["ngl"], f.aliases["gpu-layers"] = "n-gpu-layers", "n-gpu-layers"
}
