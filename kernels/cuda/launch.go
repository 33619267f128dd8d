// Package cuda holds the CUDA kernels, one op a .cu file, and beside each the Go
// launcher that checks its shapes and says how it is launched. A launch is data:
// nothing here talks to a driver, and everything but the embedded fatbin compiles
// on any machine.
//
// Kernels keep to the sm_80 instruction set (mma.sync, ldmatrix, cp.async): they
// run on every GPU since the A100, and kernels/emu runs the same sources on a CPU.
package cuda

import (
	"fmt"
	"math"
)

// Ptr is an address in a device's memory.
type Ptr uint64

// Launch is one kernel with all that a launch needs. Args holds one word an
// argument, in the kernel's order: a pointer, an integer, or the bits of a
// float32 (see Float) in the low bytes.
type Launch struct {
	Kernel string // the extern "C" name
	Grid   [3]uint32
	Block  [3]uint32
	Shared uint32 // dynamic shared memory, bytes
	Args   []uint64
}

// Float is a float32 as a launch argument.
func Float(v float32) uint64 { return uint64(math.Float32bits(v)) }

// Int is an int as a launch argument: the kernel's parameter is an int.
func Int(v int) uint64 { return uint64(uint32(int32(v))) }

// Check refuses what no device launches. Launchers have checked shapes already.
func (l Launch) Check() error {
	threads := uint64(l.Block[0]) * uint64(l.Block[1]) * uint64(l.Block[2])
	switch {
	case l.Kernel == "":
		return fmt.Errorf("cuda: a launch without a kernel")
	case threads == 0 || threads > 1024:
		return fmt.Errorf("cuda: %s: a block of %v threads", l.Kernel, l.Block)
	case l.Grid[0] == 0 || l.Grid[1] == 0 || l.Grid[2] == 0 || l.Grid[1] > 65535 || l.Grid[2] > 65535:
		return fmt.Errorf("cuda: %s: a grid of %v blocks", l.Kernel, l.Grid)
	case l.Shared > 99<<10: // what sm_86, 89 and 120 have; sm_80 and 90 have more
		return fmt.Errorf("cuda: %s: %d bytes of shared memory, at most %d", l.Kernel, l.Shared, 99<<10)
	}
	return nil
}
