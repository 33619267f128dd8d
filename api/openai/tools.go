package openai

import (
	"encoding/json"
	"fmt"
)

// tools checks the tools' outline and keeps their text: the order of a schema's
// members reaches the prompt.
func tools(d *chatDecoder, name string, v value) error {
	if err := expect(v, name, "array"); err != nil {
		return err
	}
	count := 0
	err := v.items(func(i int, v value) error {
		if count++; count > MaxTools {
			return invalid(name, "more than %d tools", MaxTools)
		}
		return tool(fmt.Sprintf("%s[%d]", name, i), v)
	})
	if err == nil && count > 0 {
		d.req.Tools = json.RawMessage(v)
	}
	return err
}

func tool(path string, v value) error {
	if err := expect(v, path, "object"); err != nil {
		return err
	}
	var kind string
	var fn value
	err := v.members(func(name string, v value) error {
		switch name {
		case "type":
			if err := expect(v, path+".type", "string"); err != nil {
				return err
			}
			kind = v.text()
		case "function":
			fn = v
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case kind == "":
		return &Error{Param: path + ".type", Code: CodeMissing, Message: path + `.type: a tool needs the type "function"`}
	case kind != "function":
		return unsupported(path+".type", `only "function" is supported by this server`)
	case fn == nil:
		return &Error{Param: path + ".function", Code: CodeMissing, Message: path + ".function: a tool needs a function"}
	}
	return function(path+".function", fn)
}

func function(path string, v value) error {
	return named(path, v, func(name, path string, v value) error {
		switch {
		case v.null():
			return nil
		case name == "description":
			return expect(v, path, "string")
		case name == "parameters":
			return expect(v, path, "object")
		case name == "strict":
			return expect(v, path, "boolean")
		}
		return nil
	})
}

// named checks an object that has a function's name; the other members are
// member's.
func named(path string, v value, member func(name, path string, v value) error) error {
	if err := expect(v, path, "object"); err != nil {
		return err
	}
	given := false
	err := v.members(func(name string, v value) error {
		path := path + "." + clip(name)
		if name != "name" {
			return member(name, path, v)
		}
		given = true
		if err := expect(v, path, "string"); err != nil {
			return err
		}
		if s := v.text(); s == "" || len(s) > MaxNameBytes {
			return invalid(path, "must have 1 to %d bytes", MaxNameBytes)
		}
		return nil
	})
	if err == nil && !given {
		return &Error{Param: path + ".name", Code: CodeMissing, Message: path + ".name: a function needs a name"}
	}
	return err
}

// calls checks a past message's tool calls and keeps their text.
func (m *message) calls(path string, v value) error {
	if err := expect(v, path, "array"); err != nil {
		return err
	}
	count := 0
	err := v.items(func(i int, v value) error {
		if count++; count > MaxTools {
			return invalid(path, "more than %d calls", MaxTools)
		}
		return call(fmt.Sprintf("%s[%d]", path, i), v)
	})
	if err == nil && count > 0 {
		m.toolCalls = v
	}
	return err
}

func call(path string, v value) error {
	if err := expect(v, path, "object"); err != nil {
		return err
	}
	var fn value
	err := v.members(func(name string, v value) error {
		switch name {
		case "id":
			if !v.null() {
				return expect(v, path+".id", "string")
			}
		case "type":
			if err := expect(v, path+".type", "string"); err != nil {
				return err
			}
			if v.text() != "function" {
				return unsupported(path+".type", `only "function" is supported by this server`)
			}
		case "function":
			fn = v
		}
		return nil
	})
	if err != nil {
		return err
	}
	if fn == nil {
		return &Error{Param: path + ".function", Code: CodeMissing, Message: path + ".function: a tool call needs a function"}
	}
	return calledFunction(path+".function", fn)
}

func calledFunction(path string, v value) error {
	return named(path, v, func(name, path string, v value) error {
		if name == "arguments" && v.kind() != "string" && v.kind() != "object" && !v.null() {
			return invalid(path, "must be a string or an object, got %s", v.kind())
		}
		return nil
	})
}
