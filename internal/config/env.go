package config

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// Getenv looks a variable up, as os.LookupEnv does. A set but empty variable
// counts as not set.
type Getenv func(name string) (string, bool)

// Value is a variable's value, empty where it is not set.
func (get Getenv) Value(name string) string {
	v, _ := get(name)
	return v
}

// Variable is the environment variable that sets a flag.
func Variable(flag string) string {
	return "REASOND_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// ApplyEnv sets every flag that the command line did not set from its variable.
// The error names the variable and the flag.
func (f *Flags) ApplyEnv(get Getenv) error {
	var first error
	f.set.VisitAll(func(flag *pflag.Flag) {
		value := get.Value(Variable(flag.Name))
		if first != nil || flag.Changed || value == "" || flag.Name == "help" {
			return
		}
		if err := setFromVariable(flag.Value, value); err != nil {
			first = fmt.Errorf("%s=%q: %w (it sets --%s)", Variable(flag.Name), value, err, flag.Name)
			return
		}
		flag.Changed = true
		if flag.Annotations == nil {
			flag.Annotations = map[string][]string{}
		}
		flag.Annotations[byVariable] = nil
	})
	return first
}

// byVariable annotates flags that ApplyEnv set.
const byVariable = "by variable"

// Typed says that the command line has the flag. One that a variable set may be
// meant for another command, so a command that cannot use it lets it be.
func Typed(flag *pflag.Flag) bool {
	_, variable := flag.Annotations[byVariable]
	return flag.Changed && !variable
}

// setFromVariable gives a flag that may be repeated each part between commas.
func setFromVariable(v pflag.Value, value string) error {
	if _, repeatable := v.(*list); !repeatable {
		return v.Set(value)
	}
	for part := range strings.SplitSeq(value, ",") {
		if err := v.Set(strings.TrimSpace(part)); err != nil {
			return err
		}
	}
	return nil
}
