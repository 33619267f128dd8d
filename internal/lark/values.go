package lark

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Dialect is how a format writes values that are not quite JSON.
type Dialect struct {
	True, False, Null string
	// Quotes stand around strings, which are written as they are; "": strings are
	// JSON.
	Quotes string
	// Bare writes objects' keys without quotes: they are words then.
	Bare bool
	// Plain: such words are letters, digits and "_" alone.
	Plain bool
	// Item and Key stand between members, and between a key and its value.
	Item, Key string
	// JSON says that JSON is understood too: it stands in for what the schema asks
	// for and the dialect cannot be held to.
	JSON bool
	// Sorted writes objects' members in the order of their names.
	Sorted bool
}

// Values writes values of schemas that share their definitions.
type Values struct {
	*Grammar
	Dialect
	Root json.RawMessage // has the definitions
	refs map[string]string
}

// Value is a value of a schema.
func (v *Values) Value(schema json.RawMessage) (string, error) {
	expr, err := v.value(schema, 0)
	if err != nil && v.JSON {
		return JSON(schema, v.Root, Spaced)
	}
	return expr, err
}

func (v *Values) value(schema json.RawMessage, depth int) (string, error) {
	if depth > 32 {
		return "", errors.New("the schema nests deeper than 32")
	}
	var ref struct {
		Ref string `json:"$ref"`
	}
	if json.Unmarshal(schema, &ref) == nil && ref.Ref != "" {
		return v.reference(ref.Ref, depth)
	}
	if members, err := membersOf(schema); err == nil && len(besides(members, "")) == 0 {
		return v.any()
	}
	all, err := v.parts(schema)
	if err != nil {
		return "", err
	}
	var alternatives []string
	for _, one := range all {
		expr, err := v.branch(one, depth)
		if err != nil {
			return "", err
		}
		alternatives = append(alternatives, expr)
	}
	return Any(alternatives), nil
}

// anything is the name of values of which the schema says nothing.
const anything = "*"

// any is the rule of any value.
func (v *Values) any() (string, error) {
	if name, ok := v.refs[anything]; ok {
		return name, nil
	}
	name := v.named(anything)
	var alternatives []string
	for _, t := range Types {
		expr, err := v.branch(Branch{Type: t, Schema: json.RawMessage("{}")}, 0)
		if err != nil {
			return "", err
		}
		alternatives = append(alternatives, expr)
	}
	v.Define(name, "", Any(alternatives))
	return name, nil
}

// named is a new name for what a schema calls so.
func (v *Values) named(path string) string {
	if v.refs == nil {
		v.refs = map[string]string{}
	}
	v.refs[path] = v.Name("d")
	return v.refs[path]
}

// parts are a schema's branches; those that refer to others are left whole.
func (v *Values) parts(schema json.RawMessage) ([]Branch, error) {
	members, err := membersOf(schema)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"anyOf", "oneOf"} {
		var list []json.RawMessage
		if json.Unmarshal(members[name], &list) != nil || len(besides(members, name)) > 0 {
			continue
		}
		var out []Branch
		for _, one := range list {
			out = append(out, Branch{Schema: one})
		}
		return out, nil
	}
	return Branches(schema, v.Root)
}

// reference is the rule of a definition, which may refer to itself.
func (v *Values) reference(path string, depth int) (string, error) {
	if name, ok := v.refs[path]; ok {
		return name, nil
	}
	quoted, _ := json.Marshal(path)
	target, err := resolve(quoted, v.Root)
	if err != nil {
		return "", err
	}
	name := v.named(path)
	expr, err := v.value(target, depth+1)
	if err != nil {
		return "", err
	}
	v.Define(name, "", expr)
	return name, nil
}

func (v *Values) branch(b Branch, depth int) (string, error) {
	if b.Values != nil {
		var all []string
		for _, value := range b.Values {
			text, err := v.literal(value)
			if err != nil {
				return "", err
			}
			all = append(all, text)
		}
		return Any(all), nil
	}
	switch b.Type {
	case "":
		return v.value(b.Schema, depth+1)
	case "boolean":
		return "(" + Quote(v.True) + " | " + Quote(v.False) + ")", nil
	case "null":
		return Quote(v.Null), nil
	case "integer", "number":
		return number(b)
	case "string":
		if v.Quotes == "" {
			return restricted(b, "string", "minLength", "maxLength", "pattern", "format")
		}
		text, err := v.String(b.Schema, []string{v.Quotes})
		return Marker(v.w, v.Quotes) + " " + text, err
	case "array":
		return v.array(b.Schema, depth)
	case "object":
		return v.object(b.Schema, depth)
	}
	return "", fmt.Errorf("type %.40q is none of JSON's", b.Type)
}

// number is JSON of a number.
func number(b Branch) (string, error) {
	return restricted(b, b.Type, "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
}

// restricted is JSON of one type with the members of the schema that are named.
func restricted(b Branch, kind string, names ...string) (string, error) {
	members, err := membersOf(b.Schema)
	if err != nil {
		return "", err
	}
	out := map[string]json.RawMessage{"type": json.RawMessage(Quote(kind))}
	for _, name := range names {
		if m := members[name]; m != nil {
			out[name] = m
		}
	}
	data, err := json.Marshal(out)
	return "%json " + string(data), err
}

// literal is a value as the dialect writes it.
func (v *Values) literal(value json.RawMessage) (string, error) {
	switch typeOf(value) {
	case "boolean":
		if string(value) == "true" {
			return Quote(v.True), nil
		}
		return Quote(v.False), nil
	case "null":
		return Quote(v.Null), nil
	case "number":
		return Quote(string(value)), nil
	case "string":
		if v.Quotes == "" {
			return Quote(string(value)), nil
		}
		var s string
		if err := json.Unmarshal(value, &s); err != nil {
			return "", err
		}
		if strings.Contains(s, v.Quotes) {
			return "", fmt.Errorf("the value %.40q holds %s", s, v.Quotes)
		}
		return v.Marks(v.Quotes) + " " + Quote(s) + " " + v.Marks(v.Quotes), nil
	}
	return "", errors.New("a value that is an object or a list")
}

// limits are members of a schema that bound how many there are.
type limits struct {
	MinItems    int             `json:"minItems"`
	MaxItems    *int            `json:"maxItems"`
	Items       json.RawMessage `json:"items"`
	Unique      bool            `json:"uniqueItems"`
	MinLength   int             `json:"minLength"`
	MaxLength   *int            `json:"maxLength"`
	Pattern     string          `json:"pattern"`
	Additional  json.RawMessage `json:"additionalProperties"`
	PrefixItems json.RawMessage `json:"prefixItems"`
	Contains    json.RawMessage `json:"contains"`
}

// mostRepeats bounds the counts that grammars hold to.
const mostRepeats = 10_000

// List is an array's schema.
type List struct {
	Items json.RawMessage // of each element
	Min   int
	Max   int // -1: as many as they like
}

// ListOf reads an array's schema. What elements are asked for beyond being of one
// schema, and so many, is an error.
func ListOf(schema json.RawMessage) (List, error) {
	var l limits
	if json.Unmarshal(schema, &l) != nil {
		return List{}, errNoSchema
	}
	switch {
	case l.Unique, l.PrefixItems != nil, l.Contains != nil:
		return List{}, errors.New("uniqueItems, prefixItems and contains")
	case l.MinItems > mostRepeats || l.MaxItems != nil && *l.MaxItems < l.MinItems:
		return List{}, errors.New("minItems and maxItems")
	}
	list := List{Items: l.Items, Min: l.MinItems, Max: -1}
	if list.Items == nil {
		list.Items = json.RawMessage("{}")
	}
	if l.MaxItems != nil {
		list.Max = min(*l.MaxItems, mostRepeats)
	}
	return list, nil
}

func (v *Values) array(schema json.RawMessage, depth int) (string, error) {
	l, err := ListOf(schema)
	if err != nil {
		return "", err
	}
	item, err := v.value(l.Items, depth+1)
	if err != nil {
		return "", err
	}
	item = v.Rule(item)
	if l.Max == 0 {
		return `"[]"`, nil
	}
	most := ""
	if l.Max > 0 {
		most = strconv.Itoa(l.Max - 1)
	}
	list := fmt.Sprintf("%s (%s %s){%d,%s}", item, Quote(v.Item), item, max(l.Min-1, 0), most)
	switch {
	case most == "0":
		list = item
	case most == "" && l.Min < 2:
		list = fmt.Sprintf("%s (%s %s)*", item, Quote(v.Item), item)
	}
	if l.Min == 0 {
		list = "(" + list + ")?"
	}
	return `"[" ` + list + ` "]"`, nil
}

// unheld are members of an object's schema that a dialect cannot be held to.
var unheld = []string{"patternProperties", "propertyNames", "minProperties", "maxProperties", "dependentRequired", "dependentSchemas",
	"dependencies", "if", "not", "unevaluatedProperties"}

// Held refuses an object's schema that asks for what cannot be held to beyond
// its members.
func Held(schema json.RawMessage) error {
	members, err := membersOf(schema)
	for _, name := range unheld {
		if members[name] != nil {
			return errors.New(name)
		}
	}
	return err
}

func (v *Values) object(schema json.RawMessage, depth int) (string, error) {
	if err := Held(schema); err != nil {
		return "", err
	}
	members, err := membersOf(schema)
	if err != nil {
		return "", err
	}
	if members["properties"] != nil {
		expr, err := v.members(schema, depth, v.key)
		return `"{" ` + expr + ` "}"`, err
	}
	return v.dictionary(members["additionalProperties"], depth)
}

// dictionary is an object of any keys.
func (v *Values) dictionary(values json.RawMessage, depth int) (string, error) {
	switch string(values) {
	case "false":
		return `"{}"`, nil
	case "", "true":
		values = json.RawMessage("{}")
	}
	key := `%json {"type":"string"}`
	if v.Bare {
		key = v.lexeme(`/[A-Za-z_][A-Za-z0-9_]*/`)
	}
	value, err := v.value(values, depth+1)
	if err != nil {
		return "", err
	}
	member := v.Rule(key + " " + Quote(v.Key) + " " + value)
	return fmt.Sprintf(`"{" (%s (%s %s)*)? "}"`, member, Quote(v.Item), member), nil
}

// key is a key and what stands behind it.
func (v *Values) key(name string) (string, error) {
	if !v.Bare {
		return Quote(name) + v.Key, nil
	}
	if !IsWord(name) || v.Plain && strings.ContainsAny(name, "-.") {
		return "", fmt.Errorf("the name %.40q, which is no word", name)
	}
	return name + v.Key, nil
}

// IsWord reports whether a name is letters, digits, "_", "-" and "." alone.
func IsWord(name string) bool {
	return name != "" && strings.Trim(name, "_-.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// Members are an object's members in the order of its schema, each begun by what
// key makes of its name; what may be left out may be left out.
func (v *Values) Members(schema json.RawMessage, key func(name string) (string, error)) (string, error) {
	return v.members(schema, 0, key)
}

func (v *Values) members(schema json.RawMessage, depth int, key func(string) (string, error)) (string, error) {
	all, err := Properties(schema)
	if err != nil || len(all) == 0 {
		return `""`, err
	}
	if v.Sorted {
		slices.SortStableFunc(all, func(a, b Property) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	}
	first, rest := `""`, `""`
	for i := len(all) - 1; i >= 0; i-- {
		p := all[i]
		begin, err := key(p.Name)
		if err == nil {
			var value string
			if value, err = v.value(p.Schema, depth+1); err != nil && v.JSON {
				value, err = JSON(p.Schema, v.Root, Spaced)
			}
			begin = Quote(begin) + " " + v.Rule(value)
		}
		if err != nil {
			return "", fmt.Errorf("parameter %.60q: %w", p.Name, err)
		}
		member := v.Rule(begin)
		here, later := member+" "+rest, Quote(v.Item)+" "+member+" "+rest
		if !p.Required {
			here, later = here+" | "+first, later+" | "+rest
		}
		first, rest = v.Rule(here), v.Rule(later)
	}
	return first, nil
}
