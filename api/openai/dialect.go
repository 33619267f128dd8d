package openai

import "encoding/json"

// Other dialects (api/native) share the strict reader, its errors and the
// members of a chat request; this file is what they see of it.

// Value is one JSON value of a body that the strict reader has accepted.
type Value struct{ v value }

// NewValue is a value that a dialect writes itself.
func NewValue(v any) Value {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // the dialect's own types
	}
	root, err := parse(data)
	if err != nil {
		panic(err)
	}
	return Value{root}
}

// Kind is object, array, string, boolean, null or number.
func (v Value) Kind() string { return v.v.kind() }

// Null says that the value is null.
func (v Value) Null() bool { return v.v.null() }

// JSON is the value's text.
func (v Value) JSON() json.RawMessage { return json.RawMessage(v.v) }

// Members calls fn for each member of an object, in order, until it fails.
func (v Value) Members(fn func(name string, v Value) error) error {
	return v.v.members(func(name string, v value) error { return fn(name, Value{v}) })
}

// Object calls fn for each member of an object, with the member's path, in order,
// until it fails. One that is null is as good as absent. path is the object's.
func (v Value) Object(path string, fn func(name, at string, v Value) error) error {
	return options(v.v, path, func(name, at string, v value) error { return fn(name, at, Value{v}) })
}

// Items calls fn for each element of an array, in order, until it fails.
func (v Value) Items(fn func(i int, v Value) error) error {
	return v.v.items(func(i int, v value) error { return fn(i, Value{v}) })
}

// Expect fails where the value is of another kind; name is what the error calls it.
func (v Value) Expect(name, kind string) error { return expect(v.v, name, kind) }

// String is a string's value.
func (v Value) String(name string) (string, error) {
	if err := v.Expect(name, "string"); err != nil {
		return "", err
	}
	return v.v.text(), nil
}

// Bool is a boolean's value.
func (v Value) Bool(name string) (bool, error) {
	if err := v.Expect(name, "boolean"); err != nil {
		return false, err
	}
	return v.v[0] == 't', nil
}

// Int is an integer of lo to hi.
func (v Value) Int(name string, lo, hi int64) (int, error) {
	n, err := whole(v.v, name, lo, hi)
	return int(n), err
}

// IDs is an array of token ids.
func (v Value) IDs(name string) ([]int32, error) {
	if err := v.Expect(name, "array"); err != nil {
		return nil, err
	}
	ids := []int32{}
	err := v.v.items(func(_ int, v value) error {
		id, err := whole(v, name, 0, maxCount)
		ids = append(ids, int32(id))
		return err
	})
	return ids, err
}

// Invalid is an Error about a member; its message begins with the name.
func Invalid(param, format string, args ...any) *Error { return invalid(param, format, args...) }

// Unsupported is an Error about a member that is known but not built.
func Unsupported(param, format string, args ...any) *Error {
	return unsupported(param, format, args...)
}

// Turn is a message as other dialects hand it to a chat request's messages.
type Turn struct {
	Role       string     `json:"role"`
	Content    any        `json:"content,omitempty"` // a string or parts; nil: none
	Reasoning  string     `json:"reasoning_content,omitempty"`
	ToolCalls  []TurnCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

// TurnCall is a past tool call; NewTurnCall makes it.
type TurnCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"` // function
	Function TurnFunction `json:"function"`
}

// TurnFunction is what was called; Arguments is an object or its text.
type TurnFunction struct {
	Name      string `json:"name"`
	Arguments any    `json:"arguments"`
}

// NewTurnCall is a past call of a function.
func NewTurnCall(id, name string, arguments any) TurnCall {
	return TurnCall{ID: id, Type: "function", Function: TurnFunction{name, arguments}}
}

// Missing is an Error about a member that should be there.
func Missing(param, message string) *Error {
	return &Error{Param: param, Code: CodeMissing, Message: param + ": " + message}
}

// ReadObject reads a body that must be one JSON object and calls member for
// each member, in order, until it fails. An error is an *Error.
func ReadObject(body []byte, member func(name string, v Value) error) error {
	root, err := parse(body)
	if err != nil {
		return err
	}
	if root.kind() != "object" {
		return &Error{Code: CodeInvalidJSON, Message: "the body must be a JSON object, got " + root.kind()}
	}
	return root.members(func(name string, v value) error { return member(name, Value{v}) })
}

// ChatReader puts a chat request together from members that stand elsewhere or
// under other names than in a body of DecodeChat.
type ChatReader struct{ d chatDecoder }

// NewChatReader starts with DecodeChat's defaults.
func NewChatReader() *ChatReader { return &ChatReader{newChatDecoder()} }

// Set reads v as the chat request's member field; errors call it path. A null
// changes nothing.
func (r *ChatReader) Set(field, path string, v Value) error {
	if v.Null() {
		return nil
	}
	return chatFields[field](&r.d, path, v.v)
}

// Refuse is for a member that the dialect does not take: an error, unless it
// is known somewhere and its value asks for nothing.
func Refuse(name, path string, v Value) error {
	if harmless, ok := notBuilt[name]; ok {
		if v.Null() || harmless(v.v) {
			return nil
		}
		return unsupported(path, "not supported by this server")
	}
	return Unknown(path)
}

// Unknown is an Error about a name that nobody knows.
func Unknown(path string) *Error {
	path = clip(path)
	return &Error{Param: path, Code: CodeUnknown, Message: "unknown parameter: " + quote(path)}
}

// Finish checks what concerns more than one member. Without a chat the request
// has no messages and says only how to answer.
func (r *ChatReader) Finish(chat bool) (*ChatRequest, error) {
	if err := r.d.finish(chat); err != nil {
		return nil, err
	}
	return &r.d.req, nil
}
