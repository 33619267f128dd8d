// Package native binds the project's one Rust static library: Hugging Face
// tokenizers (behind daulet/tokenizers), Jinja chat templates (minijinja) and
// grammars (llguidance). build.sh builds the library; `make native` calls it.
//
// The package owns the boundary and nothing else: buffers cross it with their
// length, a Rust panic comes back as an error, and every handle can be closed.
// It knows no chat, no model and no request.
package native

// The Go package of daulet/tokenizers asks the linker for -ltokenizers; the
// search path given here is where it finds the library.

// #cgo LDFLAGS: -L${SRCDIR}/lib -ltokenizers -ldl -lm -lstdc++
// #include "native.h"
// #if __has_include("library.h")
// #include "library.h"
// #else
// #define NATIVE_LIBRARY "none"
// #endif
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// Library names the build of the library. It is here so that Go links anew when
// build.sh has built another.
var Library = C.NATIVE_LIBRARY

// ErrClosed is returned by every method of a handle that has been closed.
var ErrClosed = errors.New("native: handle is closed")

// A PanicError is a panic inside the library. It is a defect of the library or
// an input that it should have refused; the process and other calls go on.
type PanicError struct{ Message string }

func (e *PanicError) Error() string { return "native: panic: " + e.Message }

// A LimitError says which of its Limits a template went over.
type LimitError struct{ Message string }

func (e *LimitError) Error() string { return e.Message }

// A RaisedError is a refusal by the template itself (raise_exception): its words
// are meant for whoever wrote the messages.
type RaisedError struct{ Message string }

func (e *RaisedError) Error() string { return e.Message }

// result turns a guarded call's status and buffer into bytes or an error, and
// gives the buffer back.
func result(status C.int32_t, out *C.native_buffer) ([]byte, error) {
	if status == C.NATIVE_OK && out.data == nil {
		return nil, nil
	}
	defer C.native_buffer_free(*out)
	if status == C.NATIVE_OK {
		return C.GoBytes(unsafe.Pointer(out.data), C.int(out.len)), nil
	}
	message := C.GoStringN((*C.char)(unsafe.Pointer(out.data)), C.int(out.len))
	switch status {
	case C.NATIVE_PANICKED:
		return nil, &PanicError{message}
	case C.NATIVE_OVER_LIMIT:
		return nil, &LimitError{message}
	case C.NATIVE_RAISED:
		return nil, &RaisedError{message}
	default:
		return nil, errors.New(message)
	}
}

// The largest inputs, in bytes. What a call returns for them fits an int of C.
const (
	mostJSON = 256 << 20 // a tokenizer.json, a template's variables
	mostText = 64 << 20  // a text or a list of ids
)

func fits(what string, size, most int) error {
	if size > most {
		return fmt.Errorf("%s is larger than %d bytes", what, most)
	}
	return nil
}

func text(s string) (*C.uint8_t, C.size_t) {
	return (*C.uint8_t)(unsafe.StringData(s)), C.size_t(len(s))
}

// GrammarVersion is the version of llguidance in the library.
func GrammarVersion() (string, error) {
	var out C.native_buffer
	version, err := result(C.native_grammar_version(&out), &out)
	return string(version), err
}

// induce panics inside the library, for tests.
func induce(message string) error {
	var out C.native_buffer
	data, size := text(message)
	_, err := result(C.native_panic(data, size, &out), &out)
	return err
}
