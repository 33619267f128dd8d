package llm

import (
	"errors"
	"fmt"
	"time"
)

// Kind classifies an error by what a caller can do about it. The server alone
// maps it to a status.
type Kind uint8

const (
	Internal    Kind = iota // our fault; the text goes to the log, not to the client
	Invalid                 // the request is wrong; Param names the field
	NotFound                // no such model or object
	TooLong                 // prompt, or prompt and output, exceed the context
	Overloaded              // the queue is full; RetryAfter says when to come back
	Stopping                // the server drains or the engine has stopped
	Cancelled               // the client went away
	Unsupported             // known but not available here; Param names the field
)

func (k Kind) String() string {
	return [...]string{"internal", "invalid", "not found", "too long", "overloaded", "stopping", "cancelled", "unsupported"}[k]
}

// Error is an error that a client may see. Message is a sentence for the
// client; Err, if any, is for the log only.
type Error struct {
	Kind       Kind
	Param      string // the request field at fault
	Code       string // machine-readable, e.g. context_length_exceeded
	Message    string
	RetryAfter time.Duration
	Err        error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf builds an Error; param may be empty.
func Errorf(kind Kind, param, format string, args ...any) *Error {
	return &Error{Kind: kind, Param: param, Message: fmt.Sprintf(format, args...)}
}

// KindOf is the kind of the first *Error in err's chain, else Internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
