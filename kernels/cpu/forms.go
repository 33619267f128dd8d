package cpu

// #include "machine.h"
import "C"

// Forms that a linear op's input is rounded to; inputForm tells which a weight
// format's kernels want.
const (
	formF32  = C.RK_ACT_F32
	formBF16 = C.RK_ACT_BF16
	formI8   = C.RK_ACT_I8
)

func (m *Machine) inputForm(format int) int { return int(C.rk_linear_acts(m.c, C.int(format))) }
