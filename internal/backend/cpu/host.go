package cpu

import (
	"runtime"

	kernels "github.com/reasond/reasond/kernels/cpu"
)

// Host tells what New makes of this machine where nothing else is asked for: the
// instruction set of its kernels and the threads.
func Host() (isa string, threads int) {
	all := kernels.Supported()
	return all[len(all)-1].String(), min(runtime.NumCPU(), runtime.GOMAXPROCS(0))
}
