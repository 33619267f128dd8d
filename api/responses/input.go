package responses

import (
	"fmt"

	"github.com/reasond/reasond/api/openai"
)

// readInput reads a text, or items.
func readInput(v openai.Value) ([]Item, error) {
	if v.Kind() == "string" {
		s, err := v.String("input")
		return []Item{{Type: TypeMessage, ID: newID(TypeMessage), Status: Completed, Role: "user", Parts: []Part{{Type: "input_text", Text: s}}}}, err
	}
	if v.Kind() != "array" {
		return nil, openai.Invalid("input", "must be a string or an array of items, got %s", v.Kind())
	}
	items := []Item{}
	err := v.Items(func(i int, v openai.Value) error {
		if i == openai.MaxMessages {
			return openai.Invalid("input", "more than %d items", openai.MaxMessages)
		}
		item, err := readItem(fmt.Sprintf("input[%d]", i), v)
		items = append(items, item)
		return err
	})
	return items, err
}

// harmless are members of items that nothing here depends on.
var harmless = map[string]bool{
	"encrypted_content": true, "phase": true, "caller": true, "namespace": true, "annotations": true, "logprobs": true,
	"created_by": true, "prompt_cache_breakpoint": true, "async": true, "internal_chat_message_metadata_passthrough": true,
}

// itemReader is an item on its way: what its members mean depends on a type that
// may come last.
type itemReader struct {
	Item
	path                     string
	content, summary, result *openai.Value
	arguments                bool
}

func readItem(path string, v openai.Value) (Item, error) {
	r := &itemReader{path: path}
	if err := v.Expect(path, "object"); err != nil {
		return r.Item, err
	}
	if err := v.Members(r.member); err != nil {
		return r.Item, err
	}
	return r.Item, r.finish()
}

func (r *itemReader) member(name string, v openai.Value) (err error) {
	at := r.path + "." + name
	if v.Null() || harmless[name] {
		return nil
	}
	switch name {
	case "type":
		r.Type, err = v.String(at)
	case "id":
		r.ID, err = v.String(at)
	case "status":
		r.Status, err = oneOf(at, v, InProgress, Completed, Incomplete)
	case "role":
		r.Role, err = v.String(at)
	case "call_id":
		r.CallID, err = v.String(at)
	case "name":
		r.Name, err = v.String(at)
	case "arguments":
		r.arguments = true
		r.Arguments, err = v.String(at)
	case "content":
		r.content = &v
	case "summary":
		r.summary = &v
	case "output":
		r.result = &v
	default:
		if r.known() {
			err = openai.Unknown(at)
		}
	}
	return err
}

// known says that the type is not one whose members are another matter.
func (r *itemReader) known() bool {
	switch r.Type {
	case "", TypeMessage, TypeReasoning, TypeCall, TypeOutput, typeReference:
		return true
	}
	return false
}

// finish checks what the type asks for.
func (r *itemReader) finish() (err error) {
	if r.Type == "" && r.Role != "" {
		r.Type = TypeMessage
	}
	switch r.Type {
	case TypeMessage:
		err = r.message()
	case TypeReasoning:
		err = r.thought()
	case TypeCall:
		err = r.need(r.CallID != "", "call_id", r.Name != "", "name", r.arguments, "arguments")
	case TypeOutput:
		if err = r.need(r.CallID != "", "call_id", r.result != nil, "output"); err == nil {
			r.Output, err = joined(r.path+".output", *r.result)
		}
	case typeReference:
		return r.need(r.ID != "", "id")
	case "":
		return r.need(false, "type")
	default:
		return openai.Unsupported(r.path+".type", "%.64q is not supported by this server", r.Type)
	}
	if r.ID == "" {
		r.ID = newID(r.Type)
	}
	if r.Status == "" {
		r.Status = Completed
	}
	return err
}

// need takes pairs: whether a member is given, and its name.
func (r *itemReader) need(pairs ...any) error {
	for i := 0; i < len(pairs); i += 2 {
		if !pairs[i].(bool) {
			name := pairs[i+1].(string)
			return openai.Missing(r.path+"."+name, "an item needs it")
		}
	}
	return nil
}

func (r *itemReader) message() (err error) {
	switch r.Role {
	case "user", "assistant", "system", "developer":
	default:
		return openai.Invalid(r.path+".role", "must be one of user, assistant, system, developer")
	}
	if err := r.need(r.content != nil, "content"); err != nil {
		return err
	}
	kind := "input_text"
	if r.Role == "assistant" {
		kind = "output_text"
	}
	r.Parts, err = readParts(r.path+".content", kind, *r.content)
	return err
}

// thought is a reasoning item: its text, or else what was made of it.
func (r *itemReader) thought() error {
	for _, from := range []struct {
		name  string
		parts *openai.Value
	}{{"content", r.content}, {"summary", r.summary}} {
		if from.parts == nil || len(r.Parts) > 0 {
			continue
		}
		parts, err := readParts(r.path+"."+from.name, "reasoning_text", *from.parts)
		if err != nil {
			return err
		}
		for i := range parts {
			parts[i].Type = "reasoning_text"
		}
		r.Parts = parts
	}
	return nil
}

// readParts reads a text, which becomes one part of the kind, or parts.
func readParts(path, kind string, v openai.Value) ([]Part, error) {
	if v.Kind() == "string" {
		s, err := v.String(path)
		return []Part{{Type: kind, Text: s}}, err
	}
	if v.Kind() != "array" {
		return nil, openai.Invalid(path, "must be a string or an array of parts, got %s", v.Kind())
	}
	parts := []Part{}
	err := v.Items(func(i int, v openai.Value) error {
		if i == openai.MaxParts {
			return openai.Invalid(path, "more than %d parts", openai.MaxParts)
		}
		p, err := readPart(fmt.Sprintf("%s[%d]", path, i), v)
		parts = append(parts, p)
		return err
	})
	return parts, err
}

func readPart(path string, v openai.Value) (Part, error) {
	var p Part
	if err := v.Expect(path, "object"); err != nil {
		return p, err
	}
	given, unknown := false, ""
	err := v.Members(func(name string, v openai.Value) (err error) {
		at := path + "." + name
		switch name {
		case "type":
			p.Type, err = v.String(at)
		case "text", "refusal":
			given = true
			p.Text, err = v.String(at)
		default:
			if !harmless[name] && !v.Null() {
				unknown = at
			}
		}
		return err
	})
	if err != nil {
		return p, err
	}
	switch p.Type {
	case "input_text", "output_text", "reasoning_text", "summary_text", "refusal":
	case "text":
		p.Type = "input_text"
	case "":
		return p, openai.Missing(path+".type", "a part needs a type")
	default:
		return p, openai.Unsupported(path+".type", "only text is supported by this server")
	}
	switch {
	case !given:
		return p, openai.Missing(path+".text", "a part needs its text")
	case unknown != "":
		return p, openai.Unknown(unknown)
	}
	return p, nil
}

// joined is a text, or text parts in one.
func joined(path string, v openai.Value) (string, error) {
	parts, err := readParts(path, "input_text", v)
	it := Item{Parts: parts}
	return it.text(), err
}
