package native

// #include "native.h"
import "C"

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"
)

// Limits bound what a template may use up; a template that goes over one ends
// in a LimitError. A zero field takes its default.
type Limits struct {
	Steps  int           // steps of the template machine in one render; default 20 million
	Depth  int           // nested macro calls and loops; default 200
	Output int           // bytes of rendered text; default 32 MiB
	Memory int           // bytes held at one time, beside 8 for each byte of the variables; default and most 64 MiB
	Time   time.Duration // of one render or compilation; default 10 s
	Source int           // bytes of template source; default and most 1 MiB
}

// The bounds that have a bound themselves, by the interface or by the stack.
const (
	mostOutput = 256 << 20
	mostMemory = 64 << 20
	mostSource = 1 << 20
)

func (l Limits) c() C.native_limits {
	or := func(value, fallback, most int) C.uint64_t {
		if value <= 0 {
			value = fallback
		}
		return C.uint64_t(min(value, most))
	}
	const unbounded = 1 << 60
	return C.native_limits{
		steps:  or(l.Steps, 20_000_000, unbounded),
		depth:  or(l.Depth, 200, 500),
		output: or(l.Output, 32<<20, mostOutput),
		memory: or(l.Memory, mostMemory, mostMemory),
		time:   or(int(l.Time.Milliseconds()), 10_000, unbounded),
		source: or(l.Source, mostSource, mostSource),
	}
}

// A Template is a compiled chat template, in Jinja as Python's transformers sets
// it up. It is safe for concurrent use.
type Template struct {
	h       *handle
	cleanup runtime.Cleanup
}

// CompileTemplate compiles a template's source.
func CompileTemplate(source string, limits Limits) (*Template, error) {
	var (
		out     C.native_buffer
		pointer unsafe.Pointer
		bounds  = limits.c()
	)
	data, size := text(source)
	if _, err := result(C.native_template_new(data, size, &bounds, &pointer, &out), &out); err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	t := &Template{h: newHandle(pointer, freeTemplate)}
	t.cleanup = runtime.AddCleanup(t, (*handle).close, t.h)
	return t, nil
}

func freeTemplate(pointer unsafe.Pointer) { C.native_template_free(pointer) }

// Close frees the template. Closing again does nothing.
func (t *Template) Close() error {
	t.cleanup.Stop()
	t.h.close()
	return nil
}

// Render renders the template with the members of a JSON object as its
// variables. now is what the template's strftime_now shows, in now's zone.
// The error is a RaisedError where the template itself refuses its input.
func (t *Template) Render(contextJSON []byte, now time.Time) (string, error) {
	if err := fits("template variables", len(contextJSON), mostJSON); err != nil {
		return "", err
	}
	_, zone := now.Zone()
	data := (*C.uint8_t)(unsafe.SliceData(contextJSON))
	var rendered string
	err := t.h.use(func(p unsafe.Pointer) error {
		var out C.native_buffer
		status := C.native_template_render(p, data, C.size_t(len(contextJSON)), C.int64_t(now.Unix()), C.int32_t(zone), &out)
		bytes, err := result(status, &out)
		rendered = string(bytes)
		return err
	})
	runtime.KeepAlive(t)
	if err != nil {
		return "", fmt.Errorf("template: %w", err)
	}
	return rendered, nil
}
