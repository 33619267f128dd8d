//go:build cuda && cgo && linux

package cuda

// #include <cuda.h>
import "C"

import (
	"fmt"
	"unsafe"

	"gorgonia.org/cu"

	kernels "github.com/reasond/reasond/kernels/cuda"
)

// Module is compiled kernels on a device.
type Module struct {
	device    *Device
	m         cu.Module
	functions map[string]Function
}

// Load brings a fatbin, cubin or PTX text to the device.
func (d *Device) Load(image []byte) (*Module, error) {
	m, err := cu.LoadData(string(image)) // the copy ends in a NUL, which PTX needs
	if err != nil {
		return nil, d.check("cuModuleLoadData", err)
	}
	return &Module{device: d, m: m, functions: map[string]Function{}}, nil
}

// Unload takes the kernels off the device; nothing may run them any more.
func (m *Module) Unload() error { return m.device.check("cuModuleUnload", m.m.Unload()) }

// Function is a kernel of a module.
type Function struct{ *function }

type function struct {
	device *Device
	name   string
	raw    C.CUfunction
	shared uint32 // dynamic shared memory that it may be launched with; 0: what every kernel may
}

// everyKernelsShared is the shared memory that a kernel may have without asking
// for more, in bytes.
const everyKernelsShared = 48 << 10

// gorgonia's Function is a CUfunction and nothing else; it has no other way out.
var _ = [1]struct{}{}[unsafe.Sizeof(cu.Function{})-unsafe.Sizeof(C.CUfunction(nil))]

// Function finds a kernel by its extern "C" name.
func (m *Module) Function(name string) (Function, error) {
	if f, ok := m.functions[name]; ok {
		return f, nil
	}
	found, err := m.m.Function(name)
	if err != nil {
		return Function{}, m.device.check("cuModuleGetFunction("+name+")", err)
	}
	f := Function{&function{device: m.device, name: name, raw: *(*C.CUfunction)(unsafe.Pointer(&found))}}
	m.functions[name] = f
	return f, nil
}

// Name is the kernel's name.
func (f Function) Name() string { return f.name }

// AllowShared lets the kernel be launched with that many bytes of dynamic shared
// memory. NewLaunches does it for the launches it is given.
func (f Function) AllowShared(bytes uint32) error {
	if bytes <= max(f.shared, everyKernelsShared) {
		return nil
	}
	code := C.cuFuncSetAttribute(f.raw, C.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, C.int(bytes))
	if err := f.device.note(failed("cuFuncSetAttribute("+f.name+")", code)); err != nil {
		return fmt.Errorf("%d bytes of shared memory: %w", bytes, err)
	}
	f.shared = bytes
	return nil
}

// Bind finds the kernels of launches in the module.
func (m *Module) Bind(launches ...kernels.Launch) ([]Bound, error) {
	bound := make([]Bound, 0, len(launches))
	for _, l := range launches {
		if err := l.Check(); err != nil {
			return nil, err
		}
		f, err := m.Function(l.Kernel)
		if err != nil {
			return nil, err
		}
		bound = append(bound, Bound{Fn: f, Grid: l.Grid, Block: l.Block, Shared: l.Shared, Args: l.Args})
	}
	return bound, nil
}
