package cpu

// #include "rk.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// Formats of weights, numbered as in package quant.
const (
	F32  = C.RK_F32
	F16  = C.RK_F16
	BF16 = C.RK_BF16
	Q8_0 = C.RK_Q8_0
	Q4_0 = C.RK_Q4_0
	Q4_1 = C.RK_Q4_1
	Q5_K = C.RK_Q5_K
	Q4_K = C.RK_Q4_K
	Q6_K = C.RK_Q6_K

	MXFP4 = C.RK_MXFP4
)

// Linear is packed matrices whose outputs lie side by side. With gated there is
// one, of gate rows with as many up rows beside them.
type Linear struct {
	mats  []C.rk_mat // in C memory
	acts  C.int32_t
	Out   int // columns of the result
	In    int
	Bytes int64
}

// Part is a run of output rows of one format.
type Part struct{ Format, Rows int }

// NewLinear allocates matrices of cols inputs. Pack fills them.
func (m *Machine) NewLinear(parts []Part, cols int, gated bool) (*Linear, error) {
	if len(parts) == 0 || len(parts) > MaxMatrices || gated && len(parts) > 1 {
		return nil, fmt.Errorf("cpu: %d matrices in a linear op", len(parts))
	}
	p, err := m.alloc(len(parts) * int(unsafe.Sizeof(C.rk_mat{})))
	if err != nil {
		return nil, err
	}
	l := &Linear{mats: unsafe.Slice((*C.rk_mat)(p), len(parts)), In: cols}
	for i, part := range parts {
		mat := &l.mats[i]
		C.rk_mat_init(mat, C.int(part.Format), C.int(part.Rows), C.int(cols), C.int(flag(gated)))
		bytes := int(mat.panels) * int(mat.panel_bytes)
		w := C.rk_arena_alloc_huge(C.rk_machine_arena(m.c), C.size_t(bytes))
		if w == nil {
			return nil, errMemory
		}
		mat.w, mat.out = (*C.uint8_t)(w), C.int32_t(l.Out)
		l.acts |= C.int32_t(C.rk_linear_acts(m.c, C.int(part.Format)))
		l.Out += part.Rows
		l.Bytes += int64(bytes)
	}
	return l, nil
}

// Pack packs rows first to first+n of matrix i from src, the rows as the file
// has them. up: of a gated matrix, the up half. Calls for different rows may
// run at once.
func (l *Linear) Pack(i, first, n int, src []byte, up bool) {
	if n == 0 || len(src) == 0 {
		return
	}
	C.rk_mat_pack(&l.mats[i], C.int(first), C.int(n), (*C.uint8_t)(unsafe.Pointer(&src[0])), C.int(flag(up)))
}

// SetBias sets the bias of matrix i, one number a row; up as in Pack.
func (l *Linear) SetBias(m *Machine, i int, bias []float32, first int, up bool) error {
	mat := &l.mats[i]
	n := 32 * int(mat.panels)
	if mat.bias == nil {
		b, err := m.Floats(n)
		if err != nil {
			return err
		}
		mat.bias = (*C.float)(unsafe.Pointer(&b[0]))
	}
	packed := unsafe.Slice((*float32)(unsafe.Pointer(mat.bias)), n)
	for j, v := range bias {
		r := first + j
		if mat.gated != 0 {
			r = r/16*32 + r%16
			if up {
				r += 16
			}
		}
		packed[r] = v
	}
	return nil
}

// Row writes row r of the first matrix, dequantised.
func (l *Linear) Row(r int, dst []float32) {
	C.rk_mat_row(&l.mats[0], C.int(r), (*C.float)(unsafe.Pointer(&dst[0])))
}
