package openai

import "fmt"

// Codes of an Error.
const (
	CodeInvalidJSON  = "invalid_json"
	CodeInvalidValue = "invalid_value"
	CodeMissing      = "missing_required_parameter"
	CodeUnknown      = "unknown_parameter"
	CodeUnsupported  = "unsupported"
)

// Error says why a request cannot be served as written. Its text holds our own
// words and the client's field name, never the client's values.
type Error struct {
	Param   string // the member at fault, e.g. messages[2].content; "" for the body as a whole
	Code    string // one of the codes above
	Message string
}

func (e *Error) Error() string { return e.Message }

// invalid is an Error about the member param; the message begins with its name.
func invalid(param, format string, args ...any) *Error {
	return &Error{Param: param, Code: CodeInvalidValue, Message: param + ": " + fmt.Sprintf(format, args...)}
}

func unsupported(param, format string, args ...any) *Error {
	return &Error{Param: param, Code: CodeUnsupported, Message: param + ": " + fmt.Sprintf(format, args...)}
}

// ErrorResponse is the body of every answer that is not a success, and the
// payload of a stream's error event.
type ErrorResponse struct {
	Error ErrorDetail `json:"error"`
}

// ErrorDetail is OpenAI's error object; Param and Code are null where they say
// nothing.
type ErrorDetail struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}
