// Package native binds the project's one Rust static library: Hugging Face
// tokenizers (behind daulet/tokenizers), Jinja chat templates (minijinja) and
// grammars (llguidance). build.sh builds the library, `make native` calls it.
//
// The package owns the boundary and nothing else: buffers cross it with their
// length, a Rust panic comes back as an error, and every handle can be closed.
// It knows no chat, no model and no request.
package native

// The Go package of daulet/tokenizers asks the linker for -ltokenizers; the
// search path given here is where it finds the library.

// #cgo LDFLAGS: -L${SRCDIR}/lib -ltokenizers -ldl -lm -lstdc++
import "C"
