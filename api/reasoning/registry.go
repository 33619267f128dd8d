package reasoning

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

var registry struct {
	sync.RWMutex
	byName map[string]Descriptor // canonical names and aliases, normalised
	names  []string              // canonical only
}

// normal makes spellings equal: case does not matter, "_" is "-".
func normal(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// Register adds a parser. It panics on a name that is taken, or on a
// descriptor without name or constructor: both are programming mistakes.
func Register(d Descriptor) {
	if d.Name == "" || d.New == nil {
		panic("reasoning: Register needs a name and a constructor")
	}
	registry.Lock()
	defer registry.Unlock()
	if registry.byName == nil {
		registry.byName = map[string]Descriptor{}
	}
	for _, name := range append([]string{d.Name}, d.Aliases...) {
		if _, taken := registry.byName[normal(name)]; taken {
			panic("reasoning: parser " + name + " registered twice")
		}
		registry.byName[normal(name)] = d
	}
	registry.names = append(registry.names, d.Name)
	slices.Sort(registry.names)
}

// Lookup finds a parser by any of its names; "-" and "_" and case do not
// matter. The error lists the known names.
func Lookup(name string) (Descriptor, error) {
	registry.RLock()
	defer registry.RUnlock()
	d, ok := registry.byName[normal(name)]
	if !ok {
		return Descriptor{}, fmt.Errorf("unknown reasoning parser %q (known: %s)", name, strings.Join(registry.names, ", "))
	}
	return d, nil
}

// Names lists the canonical names, sorted.
func Names() []string {
	registry.RLock()
	defer registry.RUnlock()
	return slices.Clone(registry.names)
}

// Parse splits a whole answer, as it would come without a known prompt.
func Parse(name, text string) (reasoning, content string, err error) {
	d, err := Lookup(name)
	if err != nil {
		return "", "", err
	}
	reasoning, content = d.Split(Start{}, text)
	return reasoning, content, nil
}
