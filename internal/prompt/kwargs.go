package prompt

import (
	"encoding/json"
	"regexp"
	"slices"
)

// Bounds on chat_template_kwargs.
const (
	mostKwargs     = 64
	mostKwargBytes = 1 << 20
	deepestKwarg   = 8
)

var kwargName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// reserved are the variables and functions that a chat template relies on.
var reserved = []string{
	"messages", "tools", "add_generation_prompt", "continue_final_message", "chat_template", "tokenize",
	"return_dict", "raise_exception", "strftime_now", "range", "dict", "namespace", "lipsum", "cycler", "joiner",
	"loop", "self", "caller", "varargs", "kwargs", "true", "false", "none", "True", "False", "None",
}

// readKwargs checks the types and sizes of further variables.
func readKwargs(kwargs map[string]json.RawMessage) ([]member, error) {
	const param = "chat_template_kwargs"
	if len(kwargs) > mostKwargs {
		return nil, invalid(param, "chat_template_kwargs has more than %d members", mostKwargs)
	}
	var members []member
	size := 0
	for _, name := range sortedKeys(kwargs) {
		field := param + "." + name
		if !kwargName.MatchString(name) {
			return nil, invalid(param, "chat_template_kwargs: %.80q is not a variable's name", name)
		}
		if size += len(kwargs[name]); size > mostKwargBytes {
			return nil, invalid(param, "chat_template_kwargs is larger than %d bytes", mostKwargBytes)
		}
		value, err := parse(kwargs[name])
		if err != nil {
			return nil, invalid(field, "%s: %v", field, err)
		}
		if depth(value) > deepestKwarg {
			return nil, invalid(field, "%s is nested more than %d deep", field, deepestKwarg)
		}
		members = append(members, member{name, value})
	}
	return members, nil
}

// checkNames refuses variables that would take another's place.
func (r *Renderer) checkNames(kwargs []member) error {
	for _, k := range kwargs {
		token := slices.ContainsFunc(r.tokens, func(m member) bool { return m.name == k.name })
		if token || slices.Contains(reserved, k.name) {
			return invalid("chat_template_kwargs."+k.name, "chat_template_kwargs may not set %s", k.name)
		}
	}
	return nil
}

func depth(n *node) int {
	deepest := 0
	for _, item := range n.items {
		deepest = max(deepest, depth(item))
	}
	for _, m := range n.members {
		deepest = max(deepest, depth(m.value))
	}
	if n.kind == arrayNode || n.kind == objectNode {
		deepest++
	}
	return deepest
}
