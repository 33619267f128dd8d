package cpu

import (
	"math"
	"runtime"

	"github.com/reasond/reasond/internal/cgroup"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// Host tells what New makes of this machine where nothing else is asked for: the
// instruction set of its kernels and the threads.
func Host() (isa string, threads int) {
	all := kernels.Supported()
	return all[len(all)-1].String(), hostThreads()
}

// hostThreads is a thread for each processor that the process may use: of the
// affinity mask, of the runtime's GOMAXPROCS and of the control groups' quota.
func hostThreads() int {
	n := min(runtime.NumCPU(), runtime.GOMAXPROCS(0))
	if quota := cgroup.CPUs(); quota > 0 {
		n = min(n, threadsOf(quota))
	}
	return n
}

// threadsOf is the threads for a quota of processors. With more of them than the
// quota feeds, all stand still at the end of every period, usually of 100 ms, and
// tokens come in jerks; a part of a processor below 3/4 is not worth that, and is
// of use to the rest of the program. (Go's own limit is the quota rounded up, 2 at
// least, and knows only the innermost group.)
func threadsOf(quota float64) int { return max(int(math.Floor(quota+0.25)), 1) }
