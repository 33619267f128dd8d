// Package grammar turns what requests call structured output, a JSON schema, a
// regular expression, a choice, a grammar in one of the peers' dialects or a
// structural tag, into matchers over a model's vocabulary (llguidance, see
// package native). Compiling is bounded in time and memory, happens in the
// request's goroutine, and is remembered; it knows no request and no engine.
package grammar

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/reasond/reasond/internal/native"
)

// Kind says how a Spec's Source is written.
type Kind uint8

const (
	JSON          Kind = iota // any JSON object; Source is empty
	Schema                    // a JSON schema
	Regex                     // a regular expression, matched as a whole
	Choice                    // a JSON array of strings, one of which is the text
	EBNF                      // GBNF (llama.cpp), or XGrammar's EBNF, which SGLang and vLLM take, or Lark
	StructuralTag             // vLLM's and SGLang's structural_tag
	Lark                      // llguidance's dialect of Lark
)

func (k Kind) String() string {
	return [...]string{"json", "json schema", "regex", "choice", "grammar", "structural tag", "lark"}[k]
}

// Spec is a grammar as a request states it.
type Spec struct {
	Kind   Kind
	Source string
}

// maxChoices bounds a choice's list.
const maxChoices = 4096

// source is the spec in one of llguidance's own languages. An error says what is
// wrong with the request, and where.
func (s Spec) source() (native.GrammarKind, string, error) {
	switch s.Kind {
	case JSON:
		return native.JSONSchema, `{"type":"object",` + jsonStyle + `}`, nil
	case Schema:
		source, err := styled(s.Source)
		return native.JSONSchema, source, err
	case Regex:
		if s.Source == "" {
			return 0, "", fmt.Errorf("the regular expression is empty")
		}
		return native.Regex, unanchored(s.Source), nil
	case Choice:
		source, err := choice(s.Source)
		return native.Lark, source, err
	case EBNF:
		source, err := fromEBNF(s.Source)
		return native.Lark, source, err
	case StructuralTag:
		source, err := structuralTag(s.Source)
		return native.Lark, source, err
	case Lark:
		return native.Lark, s.Source, nil
	}
	return 0, "", fmt.Errorf("no such kind of grammar: %d", s.Kind)
}

// jsonStyle is how JSON is written: on one line, as Python's json.dumps has it.
// White space left to the model is where small models lose themselves.
const jsonStyle = `"x-guidance":{"whitespace_flexible":false,"item_separator":", ","key_separator":": "}`

// styled puts jsonStyle into a schema that says nothing about style.
func styled(schema string) (string, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(schema), &members); err != nil {
		var any bool
		switch {
		case json.Unmarshal([]byte(schema), &any) != nil:
		case any: // the schema true
			return "{" + jsonStyle + "}", nil
		default:
			return "", fmt.Errorf("the schema false has no instances")
		}
		return "", fmt.Errorf("the schema is not a JSON object: %w", err)
	}
	if members == nil {
		return "", fmt.Errorf("the schema is null, must be a JSON object")
	}
	if _, said := members["x-guidance"]; said {
		return schema, nil
	}
	rest := strings.TrimSpace(schema)[1:]
	if len(members) > 0 {
		rest = "," + rest
	}
	return "{" + jsonStyle + rest, nil
}

// unanchored drops anchors around a whole expression: it is matched as a whole
// anyway, and llguidance knows none.
func unanchored(expr string) string {
	expr = strings.TrimPrefix(expr, "^")
	if strings.HasSuffix(expr, "$") && !strings.HasSuffix(expr, `\$`) {
		expr = strings.TrimSuffix(expr, "$")
	}
	return expr
}

func choice(source string) (string, error) {
	var list []string
	if err := json.Unmarshal([]byte(source), &list); err != nil {
		return "", fmt.Errorf("a choice is an array of strings")
	}
	if len(list) == 0 || len(list) > maxChoices {
		return "", fmt.Errorf("a choice has 1 to %d strings, not %d", maxChoices, len(list))
	}
	quoted := make([]string, len(list))
	for i, s := range list {
		if s == "" {
			return "", fmt.Errorf("choice %d is empty", i)
		}
		quoted[i] = Quote(s)
	}
	return "start: CHOICE\nCHOICE: " + strings.Join(quoted, " | "), nil // a lexeme: as rules, many are too many
}

// Quote is a string as a literal of Lark.
func Quote(s string) string {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string
	}
	return string(quoted)
}
