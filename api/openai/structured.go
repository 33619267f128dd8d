package openai

import (
	"encoding/json"
	"fmt"
)

// GrammarKind says how a Grammar's Source is written.
type GrammarKind string

const (
	GrammarJSON       GrammarKind = "json_object"    // any JSON object; no source
	GrammarSchema     GrammarKind = "json_schema"    // a JSON schema
	GrammarRegex      GrammarKind = "regex"          // a regular expression, matched as a whole
	GrammarChoice     GrammarKind = "choice"         // a JSON array of strings
	GrammarEBNF       GrammarKind = "grammar"        // GBNF, EBNF or Lark
	GrammarStructural GrammarKind = "structural_tag" // free text with tags whose content follows schemas
)

// Grammar is what an answer, or a thought, must be, under whichever of the
// peers' names the request asked for it:
//
//	response_format                      OpenAI; structural_tag as vLLM and SGLang
//	structured_outputs, guided_*         vLLM
//	regex, ebnf, json_schema             SGLang
//	grammar, json_schema                 llama.cpp
//	format                               Ollama
//	reasoning_grammar, reasoning_regex   the thought's
type Grammar struct {
	Kind   GrammarKind
	Source string
	Field  string // that asked for it
}

// set takes a grammar; two in one request are an error.
func (d *chatDecoder) grammar(to **Grammar, kind GrammarKind, field, source string) error {
	if *to != nil {
		return contradiction(field, (*to).Field)
	}
	*to = &Grammar{Kind: kind, Source: source, Field: field}
	return nil
}

// grammarText is a member that is a grammar's source.
func grammarText(kind GrammarKind) field {
	return func(d *chatDecoder, name string, v value) error {
		if err := expect(v, name, "string"); err != nil {
			return err
		}
		if v.text() == "" {
			return nil
		}
		return d.grammar(&d.req.Grammar, kind, name, v.text())
	}
}

// thoughtGrammar is the same of the thought.
func thoughtGrammar(kind GrammarKind) field {
	return func(d *chatDecoder, name string, v value) error {
		if err := expect(v, name, "string"); err != nil {
			return err
		}
		return d.grammar(&d.req.ThoughtGrammar, kind, name, v.text())
	}
}

// schemaMember is a JSON schema, or its text.
func schemaMember(d *chatDecoder, name string, v value) error {
	source, err := schemaSource(name, v)
	if err != nil {
		return err
	}
	return d.grammar(&d.req.Grammar, GrammarSchema, name, source)
}

func schemaSource(name string, v value) (string, error) {
	switch v.kind() {
	case "object":
		return string(v), nil
	case "boolean":
		return string(v), nil
	case "string":
		var any json.RawMessage
		if err := json.Unmarshal([]byte(v.text()), &any); err != nil {
			return "", invalid(name, "is no JSON: %s", err)
		}
		return v.text(), nil
	}
	return "", invalid(name, "must be an object or its text, got %s", v.kind())
}

func choiceMember(d *chatDecoder, name string, v value) error {
	if err := expect(v, name, "array"); err != nil {
		return err
	}
	if err := v.items(func(i int, v value) error { return expect(v, fmt.Sprintf("%s[%d]", name, i), "string") }); err != nil {
		return err
	}
	return d.grammar(&d.req.Grammar, GrammarChoice, name, string(v))
}

// structuralMember is a structural tag, or its text.
func structuralMember(d *chatDecoder, name string, v value) error {
	source := string(v)
	switch v.kind() {
	case "object":
	case "string":
		source = v.text()
	default:
		return invalid(name, "must be an object or its text, got %s", v.kind())
	}
	return d.grammar(&d.req.Grammar, GrammarStructural, name, source)
}

// jsonObject asks for any JSON object where it is true.
func jsonObject(d *chatDecoder, name string, v value) error {
	if err := expect(v, name, "boolean"); err != nil || string(v) == "false" {
		return err
	}
	return d.grammar(&d.req.Grammar, GrammarJSON, name, "")
}

// responseFormat is OpenAI's member, with the types of the peers.
func responseFormat(d *chatDecoder, name string, v value) error {
	if err := expect(v, name, "object"); err != nil {
		return err
	}
	var kind string
	given := map[string]value{}
	err := v.members(func(key string, v value) error {
		path := name + "." + clip(key)
		switch key {
		case "type":
			if err := expect(v, path, "string"); err != nil {
				return err
			}
			kind = v.text()
		case "json_schema", "schema", "structures", "triggers", "format":
			if !v.null() {
				given[key] = v
			}
		default:
			return Unknown(path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	switch kind {
	case "text":
		return nil
	case "json_object":
		if schema, ok := given["schema"]; ok { // llama.cpp
			return schemaMember(d, name+".schema", schema)
		}
		return d.grammar(&d.req.Grammar, GrammarJSON, name, "")
	case "json_schema":
		if schema, ok := given["schema"]; ok && given["json_schema"] == nil { // llama.cpp
			return schemaMember(d, name+".schema", schema)
		}
		return responseSchema(d, name+".json_schema", given["json_schema"])
	case "structural_tag":
		return d.grammar(&d.req.Grammar, GrammarStructural, name, string(v))
	case "":
		return &Error{Param: name + ".type", Code: CodeMissing, Message: name + ".type: must be given"}
	}
	return invalid(name+".type", "must be one of text, json_object, json_schema, structural_tag")
}

// responseSchema is OpenAI's {name, schema, strict}.
func responseSchema(d *chatDecoder, name string, v value) error {
	if v == nil {
		return &Error{Param: name, Code: CodeMissing, Message: name + ": must be given"}
	}
	if err := expect(v, name, "object"); err != nil {
		return err
	}
	schema := value("{}")
	err := v.members(func(key string, v value) error {
		path := name + "." + clip(key)
		switch key {
		case "name", "description":
			if v.null() {
				return nil
			}
			return expect(v, path, "string")
		case "strict":
			if v.null() {
				return nil
			}
			return expect(v, path, "boolean")
		case "schema":
			if !v.null() {
				schema = v
			}
			return nil
		}
		return Unknown(path)
	})
	if err != nil {
		return err
	}
	return schemaMember(d, name+".schema", schema)
}

// structuredOutputs is vLLM's member: one of its own.
func structuredOutputs(d *chatDecoder, name string, v value) error {
	return options(v, name, func(key, path string, v value) error {
		switch key {
		case "json":
			return schemaMember(d, path, v)
		case "regex":
			return grammarText(GrammarRegex)(d, path, v)
		case "choice":
			return choiceMember(d, path, v)
		case "grammar":
			return grammarText(GrammarEBNF)(d, path, v)
		case "json_object":
			return jsonObject(d, path, v)
		case "structural_tag":
			return structuralMember(d, path, v)
		case "disable_any_whitespace", "disable_fallback", "disable_additional_properties", "whitespace_pattern":
			return nil // white space and properties are always as the schema has them
		}
		return Unknown(path)
	})
}
