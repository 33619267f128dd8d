package lark

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/reasond/reasond/api/reasoning"
)

// Style is how JSON is written.
type Style string

const (
	// Spaced is JSON on one line, as Python's json.dumps writes it.
	Spaced Style = `{"whitespace_flexible":false,"item_separator":", ","key_separator":": "}`
	// Loose lets the model choose whether a space follows commas and colons.
	Loose Style = `{"whitespace_flexible":false,"item_separator":", ?","key_separator":": ?"}`
)

// Parameters is a function's schema; without one it takes no arguments.
func Parameters(f reasoning.Function) json.RawMessage {
	if len(f.Parameters) == 0 || string(f.Parameters) == "null" {
		return json.RawMessage(`{"type":"object","properties":{}}`)
	}
	return f.Parameters
}

// Object is JSON of a function's parameters.
func Object(f reasoning.Function, style Style) (string, error) {
	return JSON(Parameters(f), nil, style)
}

// JSON is JSON of a schema, whose references are to definitions of root.
func JSON(schema, root json.RawMessage, style Style) (string, error) {
	members, err := membersOf(schema)
	if err != nil {
		return "", err
	}
	members["x-guidance"] = json.RawMessage(style)
	if members["properties"] != nil {
		// A tool takes the arguments that it lists, unless it says otherwise.
		for name, value := range map[string]string{"type": `"object"`, "additionalProperties": "false"} {
			if _, said := members[name]; !said {
				members[name] = json.RawMessage(value)
			}
		}
	}
	if outer, err := membersOf(root); err == nil && bytes.Contains(schema, []byte(`"$ref"`)) {
		for _, name := range []string{"$defs", "definitions"} {
			if members[name] == nil && outer[name] != nil {
				members[name] = outer[name]
			}
		}
	}
	data, err := json.Marshal(members)
	return "%json " + string(data), err
}

// Typed is JSON of a branch, of its type alone.
func Typed(b Branch, root json.RawMessage, style Style) (string, error) {
	members, err := membersOf(b.Schema)
	if err != nil {
		return "", err
	}
	members["type"] = json.RawMessage(Quote(b.Type))
	schema, err := json.Marshal(members)
	if err != nil {
		return "", err
	}
	return JSON(schema, root, style)
}

// errNoSchema is what parameters are that are something else.
var errNoSchema = errors.New("parameters are not a JSON schema")

func membersOf(schema json.RawMessage) (map[string]json.RawMessage, error) {
	if string(bytes.TrimSpace(schema)) == "true" {
		return map[string]json.RawMessage{}, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(schema, &members); err != nil || members == nil {
		return nil, errNoSchema
	}
	return members, nil
}

// Property is a member that an object's schema lists.
type Property struct {
	Name     string
	Schema   json.RawMessage
	Required bool
}

// Properties are those of an object's schema, in their order.
func Properties(schema json.RawMessage) ([]Property, error) {
	var object struct {
		Properties json.RawMessage `json:"properties"`
		Required   []string        `json:"required"`
	}
	if json.Unmarshal(schema, &object) != nil {
		return nil, errNoSchema
	}
	if object.Properties == nil {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(object.Properties))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errNoSchema
	}
	var all []Property
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, errNoSchema
		}
		p := Property{Name: key.(string)}
		if dec.Decode(&p.Schema) != nil {
			return nil, errNoSchema
		}
		p.Required = slices.Contains(object.Required, p.Name)
		all = append(all, p)
	}
	return all, nil
}

// Branch is a schema of values of one type.
type Branch struct {
	Type   string // of JSON: string, number, integer, boolean, null, object, array
	Schema json.RawMessage
	Values []json.RawMessage // where these are all
}

// Types are the types that JSON has.
var Types = []string{"string", "number", "boolean", "null", "object", "array"}

// restricting are the members of a schema that say which values are of it; others
// are about it.
var restricting = strings.Fields(`$ref $dynamicRef type enum const anyOf oneOf allOf not if then else
	properties required additionalProperties patternProperties propertyNames minProperties maxProperties
	dependentRequired dependentSchemas dependencies unevaluatedProperties
	items prefixItems additionalItems contains minItems maxItems uniqueItems unevaluatedItems
	minLength maxLength pattern minimum maximum exclusiveMinimum exclusiveMaximum multipleOf`)

// Branches takes a schema apart by the types of its values; root has the
// definitions that it refers to.
func Branches(schema, root json.RawMessage) ([]Branch, error) { return branches(schema, root, 0) }

func branches(schema, root json.RawMessage, depth int) ([]Branch, error) {
	members, err := membersOf(schema)
	if err != nil {
		return nil, err
	}
	if depth > 16 {
		return nil, errors.New("the schema refers to itself")
	}
	for _, name := range []string{"anyOf", "oneOf", "allOf"} {
		list, given := members[name]
		if !given {
			continue
		}
		var all []json.RawMessage
		if json.Unmarshal(list, &all) != nil || len(all) == 0 {
			return nil, fmt.Errorf("%s is no list of schemas", name)
		}
		if others := besides(members, name); len(others) > 0 || name == "allOf" && len(all) > 1 {
			return nil, fmt.Errorf("%s beside other members", name)
		}
		var out []Branch
		for _, one := range all {
			b, err := branches(one, root, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, b...)
		}
		return out, nil
	}
	if ref, given := members["$ref"]; given {
		target, err := resolve(ref, root)
		if err != nil {
			return nil, err
		}
		return branches(target, root, depth+1)
	}
	return plain(schema, members)
}

// besides are a schema's members but one that restrict it.
func besides(members map[string]json.RawMessage, but string) (names []string) {
	for name := range members {
		if name != but && slices.Contains(restricting, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// plain are the branches of a schema without alternatives.
func plain(schema json.RawMessage, members map[string]json.RawMessage) ([]Branch, error) {
	for _, name := range []string{"not", "if", "$dynamicRef"} {
		if members[name] != nil {
			return nil, errors.New(name)
		}
	}
	var types []string
	if raw, given := members["type"]; given {
		var one string
		if json.Unmarshal(raw, &one) == nil {
			types = []string{one}
		} else if json.Unmarshal(raw, &types) != nil {
			return nil, errors.New("type is neither a name nor a list of names")
		}
	}
	values, given := members["enum"]
	var list []json.RawMessage
	switch {
	case members["const"] != nil:
		list = []json.RawMessage{members["const"]}
	case given:
		if json.Unmarshal(values, &list) != nil {
			return nil, errors.New("enum is no list")
		}
	default:
		if types == nil {
			types = impliedTypes(members)
		}
		var out []Branch
		for _, t := range types {
			out = append(out, Branch{Type: t, Schema: schema})
		}
		return out, nil
	}
	by := map[string]*Branch{}
	var out []*Branch
	for _, v := range list {
		t := typeOf(v)
		if types != nil && !slices.Contains(types, t) && !(t == "number" && slices.Contains(types, "integer")) {
			continue
		}
		if by[t] == nil {
			by[t] = &Branch{Type: t, Schema: schema}
			out = append(out, by[t])
		}
		by[t].Values = append(by[t].Values, v)
	}
	if len(out) == 0 {
		return nil, errors.New("no value is of the schema")
	}
	var all []Branch
	for _, b := range out {
		all = append(all, *b)
	}
	return all, nil
}

// impliedTypes are those that a schema without a type means.
func impliedTypes(members map[string]json.RawMessage) []string {
	for _, one := range []struct{ member, kind string }{
		{"properties", "object"}, {"additionalProperties", "object"}, {"items", "array"}, {"pattern", "string"}, {"minLength", "string"},
		{"maxLength", "string"}, {"minimum", "number"}, {"maximum", "number"},
	} {
		if members[one.member] != nil {
			return []string{one.kind}
		}
	}
	return Types
}

// typeOf is the type of a JSON value.
func typeOf(value json.RawMessage) string {
	switch value = bytes.TrimSpace(value); value[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

// resolve is the definition that a reference names.
func resolve(ref, root json.RawMessage) (json.RawMessage, error) {
	var path string
	if json.Unmarshal(ref, &path) != nil {
		return nil, errors.New("$ref is no text")
	}
	if path == "#" {
		return root, nil
	}
	rest, local := strings.CutPrefix(path, "#/")
	if !local {
		return nil, fmt.Errorf("$ref %.60q is not of this schema", path)
	}
	at := root
	for _, part := range strings.Split(rest, "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		var members map[string]json.RawMessage
		if json.Unmarshal(at, &members) != nil || members[part] == nil {
			return nil, fmt.Errorf("$ref %.60q leads nowhere", path)
		}
		at = members[part]
	}
	return at, nil
}
