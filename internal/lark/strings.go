package lark

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// String is a string as it is, held to its schema, up to what ends it, which it
// ends with. The markers are none of it.
func (g *Grammar) String(schema json.RawMessage, end []string, markers ...string) (string, error) {
	return g.Except(schema, nil, end, markers...)
}

// Except is String without the texts that expressions describe.
func (g *Grammar) Except(schema json.RawMessage, bad, end []string, markers ...string) (string, error) {
	expr, err := textOf(schema)
	if err != nil {
		return "", err
	}
	for _, b := range bad {
		expr += " & ~" + g.lexeme(b)
	}
	return g.until(expr, end, markers), nil
}

// textOf is the regular expression of a string's schema.
func textOf(schema json.RawMessage) (string, error) {
	var l limits
	if json.Unmarshal(schema, &l) != nil {
		return "", errNoSchema
	}
	if l.MinLength > mostRepeats || l.MaxLength != nil && *l.MaxLength < l.MinLength {
		return "", errors.New("minLength and maxLength")
	}
	expr := anyText
	if l.MinLength > 0 || l.MaxLength != nil {
		most := ""
		if l.MaxLength != nil && *l.MaxLength <= mostRepeats {
			most = strconv.Itoa(*l.MaxLength)
		}
		expr = fmt.Sprintf(`/(\n|.){%d,%s}/`, l.MinLength, most)
	}
	if l.Pattern != "" {
		pattern := searched(l.Pattern)
		if expr == anyText {
			return pattern, nil
		}
		expr += " & " + pattern
	}
	return expr, nil
}

// searched is an expression that is looked for anywhere, as a whole text.
func searched(pattern string) string {
	before, after := `(\n|.)*`, `(\n|.)*`
	if rest, ok := strings.CutPrefix(pattern, "^"); ok {
		pattern, before = rest, ""
	}
	if rest, ok := strings.CutSuffix(pattern, "$"); ok && !strings.HasSuffix(rest, `\`) {
		pattern, after = rest, ""
	}
	pattern = strings.NewReplacer(`\/`, `\/`, "/", `\/`, "\n", `\n`).Replace(pattern)
	return "/" + before + "(" + pattern + ")" + after + "/"
}
