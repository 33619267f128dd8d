package toolcall

import "encoding/json"

// Tools is what a parser must know of the request's tools: which parameters are
// strings. Formats that write values without quotes need it.
type Tools map[string]params

// params is a function's parameters.
type params struct {
	types  map[string]valueType // by name
	schema json.RawMessage      // of all
}

// kind is a parameter's type.
func (t Tools) kind(function, parameter string) valueType { return t[function].types[parameter] }

// valueType says how a value without quotes is meant.
type valueType uint8

const (
	unknownType valueType = iota // the schema does not say
	stringType                   // only a string
	jsonType                     // never a string
	mixedType                    // a string or something else
)

// ReadTools reads the request's tools, an array of OpenAI's tool objects or of
// bare functions. What it does not understand it leaves out: formats were checked
// where the request was decoded.
func ReadTools(tools json.RawMessage) Tools {
	var list []struct {
		Function *function `json:"function"`
		function
	}
	if json.Unmarshal(tools, &list) != nil {
		return nil
	}
	all := Tools{}
	for _, t := range list {
		f := t.function
		if t.Function != nil {
			f = *t.Function
		}
		p := params{types: map[string]valueType{}, schema: f.Parameters}
		var object struct {
			Properties map[string]json.RawMessage `json:"properties"`
		}
		_ = json.Unmarshal(f.Parameters, &object) // what is no schema says nothing
		for name, schema := range object.Properties {
			p.types[name] = typeOf(schema, 0)
		}
		all[f.Name] = p
	}
	return all
}

type function struct {
	Name       string          `json:"name"`
	Parameters json.RawMessage `json:"parameters"`
}

// typeOf reads a JSON schema as far as it says whether a value is a string.
func typeOf(schema json.RawMessage, depth int) valueType {
	var s struct {
		Type  json.RawMessage   `json:"type"`
		Enum  []json.RawMessage `json:"enum"`
		Const json.RawMessage   `json:"const"`
		AnyOf []json.RawMessage `json:"anyOf"`
		OneOf []json.RawMessage `json:"oneOf"`
	}
	if depth > 4 || json.Unmarshal(schema, &s) != nil {
		return unknownType
	}
	kind := unknownType
	var one string
	var many []string
	if json.Unmarshal(s.Type, &one) == nil {
		many = []string{one}
	} else if json.Unmarshal(s.Type, &many) != nil {
		many = nil
	}
	for _, name := range many {
		if name == "string" {
			kind = kind.or(stringType)
		} else if name != "null" || len(many) == 1 {
			kind = kind.or(jsonType)
		}
	}
	if kind != unknownType {
		return kind
	}
	if s.Const != nil {
		s.Enum = append(s.Enum, s.Const)
	}
	for _, v := range s.Enum {
		if v[0] == '"' {
			kind = kind.or(stringType)
		} else {
			kind = kind.or(jsonType)
		}
	}
	for _, sub := range append(s.AnyOf, s.OneOf...) {
		var null struct{ Type string }
		if json.Unmarshal(sub, &null) == nil && null.Type == "null" {
			continue
		}
		kind = kind.or(typeOf(sub, depth+1))
	}
	return kind
}

func (t valueType) or(u valueType) valueType {
	switch {
	case t == unknownType || t == u:
		return u
	case u == unknownType:
		return t
	}
	return mixedType
}

// value makes JSON of a value that the model wrote without quotes. Where the
// schema says nothing, guess decides whether it may be anything but a string.
func (t valueType) value(text string, guess bool) string {
	if t == stringType || t == unknownType && !guess {
		return quote(text)
	}
	if v, ok := literal(text); ok {
		return v
	}
	return quote(text)
}

// quote is a JSON string, with no more escapes than JSON needs.
func quote(s string) string { return `"` + escape(s) + `"` }
