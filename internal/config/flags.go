// Package config turns what a user says into values: command-line flags and
// REASOND_… variables, with a flag over a variable over the default. Every flag
// has a variable: --max-model-len is REASOND_MAX_MODEL_LEN. It checks values
// one by one and against each other; what they mean is for the packages that
// get them. Only internal/cli imports it.
package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Flags is a command's flag set in which "_" equals "-" and a flag may have
// further names: those that other servers give the same thing.
type Flags struct {
	set     *pflag.FlagSet
	aliases map[string]string // further name → the flag's own
}

// NewFlags wraps set, which from then on understands "_" and the aliases.
func NewFlags(set *pflag.FlagSet) *Flags {
	f := &Flags{set: set, aliases: map[string]string{}}
	set.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(f.canonical(name))
	})
	set.SortFlags = false
	return f
}

func (f *Flags) canonical(name string) string {
	name = strings.ReplaceAll(name, "_", "-")
	if own, ok := f.aliases[name]; ok {
		return own
	}
	return name
}

// Var adds a flag. short is one letter or empty.
func (f *Flags) Var(v pflag.Value, name, short, usage string, aliases ...string) *pflag.Flag {
	flag := f.set.VarPF(v, name, short, usage)
	if b, ok := v.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
		flag.NoOptDefVal = "true"
	}
	for _, alias := range aliases {
		f.aliases[alias] = name
	}
	return flag
}

// Hidden is Var for a flag that help does not list.
func (f *Flags) Hidden(v pflag.Value, name, usage string) {
	f.Var(v, name, "", usage).Hidden = true
}

// longWithOneDash are names of several letters that other servers write with
// one dash.
var longWithOneDash = []string{"tp", "dp", "np", "ngl", "hf", "md", "hfd"}

// Spell rewrites arguments such as "-tp 2" as "--tp 2": pflag would read them as
// single letters run together. What follows "--" stays.
func Spell(args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		if arg == "--" {
			break
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if strings.HasPrefix(arg, "-") && slices.Contains(longWithOneDash, name) {
			args[i] = "-" + arg
		}
	}
	return args
}

// Explain makes one sentence of an error of pflag's: what is wrong with which
// flag, which variable sets it too, and what an unknown flag was likely meant
// to be.
func (f *Flags) Explain(err error) error {
	var unknown *pflag.NotExistError
	var value *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		name := unknown.GetSpecifiedName()
		if near := f.nearest(name); near != "" {
			return fmt.Errorf("unknown flag --%s (did you mean --%s?)", name, near)
		}
		return fmt.Errorf("unknown flag --%s", name)
	case errors.As(err, &value):
		name := value.GetFlag().Name
		return fmt.Errorf("--%s %q: %w (%s sets it too)", name, value.GetValue(), value.Unwrap(), Variable(name))
	}
	return err
}

// nearest is the known name with the fewest edits from name, or "" where none
// is near enough to be what was meant.
func (f *Flags) nearest(name string) string {
	name = strings.ReplaceAll(name, "_", "-")
	var known []string
	f.set.VisitAll(func(flag *pflag.Flag) {
		if !flag.Hidden {
			known = append(known, flag.Name)
		}
	})
	for alias := range f.aliases {
		known = append(known, alias)
	}
	slices.Sort(known)
	best, least := "", max(2, len(name)/3)+1
	for _, k := range known {
		if d := edits(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// edits is the Levenshtein distance in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
