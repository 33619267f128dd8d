package cpu

// #include "rk_scan.h"
import "C"

import "unsafe"

// ScanBlock is how many values share a maximum and a sum of a Scan.
const ScanBlock = C.RK_SCAN_BLOCK

// Scan is a row of logits with what a reading of it gives, see rk_scan.h. All
// slices are machine memory.
type Scan struct {
	Values []float32
	Mask   []uint32 // nil: all values are allowed
	Max    []float32
	Sums   []float64
	NaN    bool
	Top    float32
	InvT   float64
	MinP   float64
}

// Scans reads rows of logits on the machine's threads.
type Scans struct {
	m         *Machine
	rows      []C.rk_scan
	constants []float64
}

// NewScans makes room for the C side of n rows. constants are those of
// rk_scan_read.
func (m *Machine) NewScans(n int, constants []float64) (*Scans, error) {
	p, err := m.alloc(n * int(unsafe.Sizeof(C.rk_scan{})))
	if err != nil {
		return nil, err
	}
	c, err := m.Doubles(C.RK_SCAN_CONSTANTS)
	copy(c, constants)
	return &Scans{m: m, rows: unsafe.Slice((*C.rk_scan)(p), n), constants: c}, err
}

// Doubles is Floats of float64.
func (m *Machine) Doubles(n int) ([]float64, error) {
	p, err := m.alloc(8 * n)
	return unsafe.Slice((*float64)(p), n), err
}

// Words is Floats of uint32.
func (m *Machine) Words(n int) ([]uint32, error) {
	p, err := m.alloc(4 * n)
	return unsafe.Slice((*uint32)(p), n), err
}

// Read fills in Max, NaN and Top of each row, and Sums where InvT is not 0 and there
// is no NaN, in one native call where there was room made for so many.
func (s *Scans) Read(rows []Scan) {
	for ; len(rows) > 0; rows = rows[min(len(rows), len(s.rows)):] {
		n, count := s.set(rows)
		C.rk_scan_read(s.m.c, &s.rows[0], C.int(n), C.int(count), (*C.double)(&s.constants[0]))
		for i := range n {
			rows[i].NaN, rows[i].Top = s.rows[i].nan != 0, float32(s.rows[i].top)
		}
	}
}

// set writes the rows for C and returns how many and the longest one's length.
func (s *Scans) set(rows []Scan) (n, count int) {
	n = min(len(rows), len(s.rows))
	for i := range rows[:n] {
		r := &rows[i]
		count = max(count, len(r.Values))
		s.rows[i] = C.rk_scan{
			values: floats(r.Values), mask: (*C.uint32_t)(unsafe.Pointer(unsafe.SliceData(r.Mask))), max: floats(r.Max),
			sums: (*C.double)(unsafe.Pointer(unsafe.SliceData(r.Sums))), inv_t: C.double(r.InvT), min_p: C.double(r.MinP),
			count: C.int32_t(len(r.Values)), words: C.int32_t(len(r.Mask)),
		}
	}
	return n, count
}
