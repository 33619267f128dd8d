package responses

import (
	"encoding/json"
	"fmt"

	"github.com/reasond/reasond/api/openai"
)

// function is a tool as a chat request has it; in this API its members stand
// beside the type.
type function struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
	Strict      *bool           `json:"strict,omitempty"`
}

type tool struct {
	Type     string   `json:"type"`
	Function function `json:"function"`
}

func (r *Request) tools(v openai.Value) error {
	if err := v.Expect("tools", "array"); err != nil {
		return err
	}
	list := []tool{}
	err := v.Items(func(i int, v openai.Value) error {
		t, err := readTool(fmt.Sprintf("tools[%d]", i), v)
		list = append(list, t)
		r.Settings.Tools = append(r.Settings.Tools, v.JSON())
		return err
	})
	if err != nil || len(list) == 0 {
		return err
	}
	return r.chat.Set("tools", "tools", openai.NewValue(list))
}

// toolChoice is a chat's; choices among tools of other types, or among some of
// them, are known by their type.
func (r *Request) toolChoice(v openai.Value) error {
	r.Settings.ToolChoice = v.JSON()
	if v.Kind() == "object" {
		err := v.Members(func(name string, v openai.Value) error {
			if name != "type" {
				return nil
			}
			kind, err := v.String("tool_choice.type")
			if err == nil && kind != "function" && kind != "allowed_tools" {
				err = openai.Unsupported("tool_choice.type", `only "function" and "allowed_tools" are supported by this server`)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return r.chat.Set("tool_choice", "tool_choice", v)
}

func readTool(path string, v openai.Value) (tool, error) {
	var t tool
	err := v.Object(path, func(name, at string, v openai.Value) (err error) {
		switch f := &t.Function; name {
		case "type":
			if t.Type, err = v.String(at); err == nil && t.Type != "function" {
				err = openai.Unsupported(at, `only "function" is supported by this server`)
			}
		case "name":
			f.Name, err = v.String(at)
		case "description":
			f.Description, err = v.String(at)
		case "parameters":
			f.Parameters, err = v.JSON(), v.Expect(at, "object")
		case "strict":
			var strict bool
			strict, err = v.Bool(at)
			f.Strict = &strict
		default: // of tools of other types, perhaps: the type says it better
		}
		return err
	})
	switch {
	case err != nil:
		return t, err
	case t.Type == "":
		return t, openai.Missing(path+".type", `a tool needs the type "function"`)
	case t.Function.Name == "":
		return t, openai.Missing(path+".name", "a tool needs a name")
	}
	return t, nil
}
