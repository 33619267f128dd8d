//go:build cuda && cgo && linux

package cuda

// #include <cuda.h>
import "C"

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"gorgonia.org/cu"

	kernels "github.com/reasond/reasond/kernels/cuda"
)

// Module is compiled kernels on a device.
type Module struct {
	device    *Device
	parts     []cu.Module
	functions map[string]Function
}

// Load brings kernels to the device: fatbins behind each other, as `make kernels`
// leaves them, or one cubin or PTX text. An empty image stands for what the driver
// has without being given it, as the emulated one has; another one refuses it.
func (d *Device) Load(image []byte) (*Module, error) {
	m := &Module{device: d, functions: map[string]Function{}}
	for i, one := range images(image) {
		part, err := cu.LoadData(string(one)) // the copy ends in a NUL, which PTX needs
		if err == nil {
			m.parts = append(m.parts, part)
			continue
		}
		err = d.check("cuModuleLoadData", err)
		if len(image) == 0 {
			err = fmt.Errorf("this binary was built without kernels (make kernels): %w", err)
		} else {
			err = fmt.Errorf("kernels for %s (sm_%d%d), image %d: %w", d.Info.Name, d.Info.Major, d.Info.Minor, i, err)
		}
		_ = m.Unload()
		return nil, err
	}
	return m, nil
}

// fatbinMagic begins a fatbin's header of 16 bytes: magic, version (2 bytes), bytes
// of the header (2), bytes behind it (8), all little-endian.
const fatbinMagic = 0xba55ed50

// images cuts fatbins that lie behind each other apart. What is no fatbin, or does
// not add up, is one image: the driver will say what it thinks of it.
func images(image []byte) [][]byte {
	var found [][]byte
	for rest := image; len(rest) > 0; {
		if len(rest) < 16 || binary.LittleEndian.Uint32(rest) != fatbinMagic {
			return [][]byte{image}
		}
		header, body := uint64(binary.LittleEndian.Uint16(rest[6:])), binary.LittleEndian.Uint64(rest[8:])
		if body > uint64(len(rest)) || header+body > uint64(len(rest)) {
			return [][]byte{image}
		}
		found, rest = append(found, rest[:header+body]), rest[header+body:]
	}
	if found == nil {
		return [][]byte{nil}
	}
	return found
}

// Unload takes the kernels off the device; nothing may run them any more.
func (m *Module) Unload() error {
	var first error
	for _, part := range m.parts {
		if err := m.device.check("cuModuleUnload", part.Unload()); first == nil {
			first = err
		}
	}
	m.parts = nil
	return first
}

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
	found, err := m.find(name)
	if err != nil {
		return Function{}, m.device.check("cuModuleGetFunction("+name+")", err)
	}
	// Drivers load kernels at their first launch, which may be within a capture.
	// Those before CUDA 12.4 lack the call that does it ahead.
	raw := *(*C.CUfunction)(unsafe.Pointer(&found))
	if code := C.cuFuncLoad(raw); code != C.CUDA_SUCCESS && code != C.CUDA_ERROR_NOT_FOUND {
		return Function{}, m.device.note(failed("cuFuncLoad("+name+")", code))
	}
	f := Function{&function{device: m.device, name: name, raw: raw}}
	m.functions[name] = f
	return f, nil
}

// find looks for a kernel in each part; the error is gorgonia's.
func (m *Module) find(name string) (cu.Function, error) {
	err := error(cu.NotFound)
	for _, part := range m.parts {
		var f cu.Function
		if f, err = part.Function(name); err != cu.NotFound {
			return f, err
		}
	}
	return cu.Function{}, err
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
