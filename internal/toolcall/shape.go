package toolcall

import (
	"encoding/json"

	"github.com/reasond/reasond/internal/lark"
)

// shape is a schema of values that are written without quotes, as far as it says
// what they are: whether a text is a string, and whether tags within a tag are a
// list or an object.
type shape struct {
	kind         shapeKind
	schema, root json.RawMessage // root has the definitions

	branches []lark.Branch
	members  map[string]*shape // that were asked for
	items    *shape
}

type shapeKind uint8

const (
	anyShape    shapeKind = iota // the schema does not say, or allows several
	textShape                    // a string
	listShape                    // an array
	objectShape                  // an object
	scalarShape                  // none of these
)

// newShape never fails: a schema that is not understood says nothing. null is
// nowhere written, so that it does not count beside others.
func newShape(schema, root json.RawMessage) *shape {
	s := &shape{schema: schema, root: root, members: map[string]*shape{}}
	if len(schema) == 0 {
		return s
	}
	all, err := lark.Branches(schema, root)
	if err != nil {
		return s
	}
	s.branches = all
	first := true
	for _, b := range all {
		if b.Type == "null" && len(all) > 1 {
			continue
		}
		kind, known := map[string]shapeKind{"string": textShape, "array": listShape, "object": objectShape}[b.Type]
		if !known {
			kind = scalarShape
		}
		if !first && kind != s.kind {
			s.kind = anyShape
			return s
		}
		s.kind, first = kind, false
	}
	return s
}

// member is the shape of an object's member.
func (s *shape) member(name string) *shape {
	if m := s.members[name]; m != nil {
		return m
	}
	m := &shape{members: map[string]*shape{}}
	for _, b := range s.branches {
		if schema := memberSchema(b, name); schema != nil {
			m = newShape(schema, s.root)
			break
		}
	}
	s.members[name] = m
	return m
}

func memberSchema(b lark.Branch, name string) json.RawMessage {
	if b.Type != "object" {
		return nil
	}
	var object struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Additional json.RawMessage            `json:"additionalProperties"`
	}
	if json.Unmarshal(b.Schema, &object) != nil {
		return nil
	}
	if schema, ok := object.Properties[name]; ok {
		return schema
	}
	return object.Additional
}

// item is the shape of a list's elements.
func (s *shape) item() *shape {
	if s.items != nil {
		return s.items
	}
	s.items = &shape{members: map[string]*shape{}}
	for _, b := range s.branches {
		var list struct {
			Items json.RawMessage `json:"items"`
		}
		if b.Type == "array" && json.Unmarshal(b.Schema, &list) == nil && list.Items != nil {
			s.items = newShape(list.Items, s.root)
			break
		}
	}
	return s.items
}
