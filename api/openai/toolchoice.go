package openai

import "fmt"

// ToolChoice is a tool_choice that asks for more than "auto" and "none" do.
type ToolChoice struct {
	Required bool     // at least one call
	Name     string   // of this function; "": of any
	Allowed  []string // the functions that may be called; nil: all
}

func toolChoice(d *chatDecoder, name string, v value) error {
	switch v.kind() {
	case "string":
		switch v.text() {
		case "auto":
		case "none":
			d.noTools = true
		case "required", "any":
			d.req.ToolChoice = &ToolChoice{Required: true}
		default:
			return invalid(name, `must be "auto", "none", "required" or name a function`)
		}
		return nil
	case "object":
		return toolChoiceObject(d, name, v)
	}
	return invalid(name, "must be a string or an object, got %s", v.kind())
}

// toolChoiceObject is {"type": "function", "function": {"name": …}} or
//
//	{"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": …}}]}}
//
// or the same as the Responses API has it, the inner object's members beside the
// type.
func toolChoiceObject(d *chatDecoder, name string, v value) error {
	kind := ""
	err := v.members(func(key string, v value) error {
		if key != "type" {
			return nil
		}
		if err := expect(v, name+".type", "string"); err != nil {
			return err
		}
		kind = v.text()
		return nil
	})
	switch {
	case err != nil:
		return err
	case kind == "function":
		function, err := namedFunction(name, v)
		d.req.ToolChoice = &ToolChoice{Required: true, Name: function}
		return err
	case kind == "allowed_tools":
		d.req.ToolChoice, err = allowedTools(name, v)
		return err
	}
	return unsupported(name+".type", `only "function" and "allowed_tools" are supported by this server`)
}

// namedFunction is the name in {"type": "function", "function": {"name": …}}.
func namedFunction(name string, v value) (function string, err error) {
	err = v.members(func(key string, v value) error {
		path := name + "." + clip(key)
		switch key {
		case "type":
			if err := expect(v, path, "string"); err != nil {
				return err
			}
			if v.text() != "function" {
				return unsupported(path, `only "function" is supported by this server`)
			}
			return nil
		case "name": // the Responses API's shape
			if err := expect(v, path, "string"); err != nil {
				return err
			}
			function = v.text()
			return nil
		case "function":
			if err := expect(v, path, "object"); err != nil {
				return err
			}
			return v.members(func(key string, v value) error {
				if key != "name" {
					return unknown(path + "." + clip(key))
				}
				if err := expect(v, path+".name", "string"); err != nil {
					return err
				}
				function = v.text()
				return nil
			})
		}
		return unknown(path)
	})
	if err == nil && function == "" {
		err = &Error{Param: name + ".function.name", Code: CodeMissing, Message: name + ".function.name: must be given"}
	}
	return function, err
}

func unknown(path string) error {
	return &Error{Param: path, Code: CodeUnknown, Message: "unknown parameter: " + quote(path)}
}

// allowedTools are a mode and the functions that may be called.
func allowedTools(name string, v value) (*ToolChoice, error) {
	c := &ToolChoice{}
	mode := ""
	var read func(name string, v value, outer bool) error
	read = func(name string, v value, outer bool) error {
		return v.members(func(key string, v value) error {
			path := name + "." + clip(key)
			switch {
			case key == "type" && outer:
				return nil
			case key == "allowed_tools" && outer:
				if err := expect(v, path, "object"); err != nil {
					return err
				}
				return read(path, v, false)
			case key == "mode":
				if err := expect(v, path, "string"); err != nil {
					return err
				}
				if mode = v.text(); mode != "auto" && mode != "required" {
					return invalid(path, "must be auto or required")
				}
				return nil
			case key == "tools":
				var err error
				c.Allowed, err = allowedNames(path, v)
				return err
			}
			return unknown(path)
		})
	}
	if err := read(name, v, true); err != nil {
		return nil, err
	}
	path := name + ".allowed_tools"
	switch {
	case mode == "":
		return nil, &Error{Param: path + ".mode", Code: CodeMissing, Message: path + ".mode: must be given"}
	case c.Allowed == nil:
		return nil, &Error{Param: path + ".tools", Code: CodeMissing, Message: path + ".tools: must be given"}
	}
	c.Required = mode == "required"
	return c, nil
}

func allowedNames(path string, v value) (names []string, err error) {
	if err := expect(v, path, "array"); err != nil {
		return nil, err
	}
	err = v.items(func(i int, v value) error {
		path := fmt.Sprintf("%s[%d]", path, i)
		if err := expect(v, path, "object"); err != nil {
			return err
		}
		name, err := namedFunction(path, v)
		names = append(names, name)
		return err
	})
	if err == nil && len(names) == 0 {
		err = invalid(path, "must name a function")
	}
	return names, err
}

func parallelCalls(d *chatDecoder, name string, v value) error {
	many := true
	err := boolean(func(*chatDecoder) *bool { return &many })(d, name, v)
	d.req.OneCall = !many
	return err
}
