// Package cpu holds the CPU kernels in C and the Go calls to them. It owns
// packed weights, activations, KV pages and threads of one machine and runs a
// program of ops over a batch in one native call. It knows neither models nor
// files nor sampling, and checks no index: package internal/backend/cpu does.
//
// rk.h describes the program, pack.h the layouts. One op a file; each is written
// once over vec.h and compiled for every instruction set (isa_*.c), chosen when
// a Machine is made.
package cpu

/*
#cgo CFLAGS: -O3 -std=c11 -D_GNU_SOURCE -Wall
#cgo LDFLAGS: -lm -lpthread
#include <stdlib.h>
#include "rk.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// ISA is an instruction set that kernels are compiled for.
type ISA int

// The instruction sets. Best stands for the best that runs here.
const (
	Best    ISA = -1
	Generic ISA = C.RK_GENERIC  // plain C: any processor
	NEON    ISA = C.RK_NEON     // arm64
	NEONDot ISA = C.RK_NEON_DOT // with dot products of int8
	AVX2    ISA = C.RK_AVX2     // with FMA and F16C
	AVX512  ISA = C.RK_AVX512   // with VNNI and BF16
)

// String names the instruction set.
func (i ISA) String() string { return C.GoString(C.rk_isa_name(C.int(i))) }

// Supported lists the instruction sets that run on this machine, the best last.
func Supported() []ISA {
	var list []ISA
	for i := Generic; i < C.RK_ISAS; i++ {
		if C.rk_isa_runs(C.int(i)) != 0 {
			list = append(list, i)
		}
	}
	return list
}

// Limits that the kernels are written for.
const (
	PageTokens  = C.RK_PAGE
	MaxHeadDim  = C.RK_MAX_DIM // a multiple of 16
	MaxKey      = C.RK_MAX_KEY // elements of a token in latent attention
	MaxMatrices = C.RK_MAX_MATS
)

// Config sizes a Machine.
type Config struct {
	ISA        ISA
	Threads    int
	Float32    bool // float32 activations and KV, weights dequantised exactly
	MaxRows    int
	MaxSeqs    int
	MaxContext int
	MaxCopies  int
}

// Machine runs a program. It is used from one goroutine.
type Machine struct {
	c     *C.rk_machine
	batch *C.rk_batch
	cfg   Config
}

var errMemory = errors.New("cpu: out of memory")

// New starts a machine's threads and allocates its batch.
func New(cfg Config) (*Machine, error) {
	if cfg.ISA == Best {
		all := Supported()
		cfg.ISA = all[len(all)-1]
	}
	if C.rk_isa_runs(C.int(cfg.ISA)) == 0 {
		return nil, fmt.Errorf("cpu: this machine does not run %s kernels", cfg.ISA)
	}
	c := C.rk_config{
		isa: C.int32_t(cfg.ISA), threads: C.int32_t(cfg.Threads), float32: flag(cfg.Float32),
		max_rows: C.int32_t(cfg.MaxRows), max_seqs: C.int32_t(cfg.MaxSeqs),
		max_context: C.int32_t(cfg.MaxContext), max_copies: C.int32_t(cfg.MaxCopies),
	}
	m := &Machine{c: C.rk_machine_new(&c), cfg: cfg}
	if m.c == nil {
		return nil, errMemory
	}
	m.batch = C.rk_machine_batch(m.c)
	return m, nil
}

// ISA is the instruction set in use.
func (m *Machine) ISA() ISA { return m.cfg.ISA }

// Close ends the threads and frees all memory, slices given out included.
func (m *Machine) Close() {
	C.rk_machine_free(m.c)
	m.c, m.batch = nil, nil
}

// Floats allocates n zeros that live as long as the machine.
func (m *Machine) Floats(n int) ([]float32, error) {
	p, err := m.alloc(4 * n)
	return unsafe.Slice((*float32)(p), n), err
}

func (m *Machine) ints(n int) ([]int32, error) {
	p, err := m.alloc(4 * n)
	return unsafe.Slice((*int32)(p), n), err
}

func (m *Machine) alloc(bytes int) (unsafe.Pointer, error) {
	p := C.rk_arena_alloc(C.rk_machine_arena(m.c), C.size_t(bytes))
	if p == nil {
		return nil, errMemory
	}
	return p, nil
}

// Forward runs the program over the batch: one native call, no allocation.
func (m *Machine) Forward() { C.rk_forward(m.c) }

// ForwardOps is Forward for ops first to end-1 of the program, where something
// happens between them that the machine knows nothing of.
func (m *Machine) ForwardOps(first, end int) { C.rk_forward_ops(m.c, C.int(first), C.int(end)) }

// CheckPool runs rounds of n empty chunks on the threads and returns how many
// chunks ran.
func (m *Machine) CheckPool(n, rounds int) int {
	return int(C.rk_pool_check(m.c, C.int(n), C.int(rounds)))
}

// Profile runs f and returns the seconds that each kind of op took meanwhile.
func (m *Machine) Profile(f func()) (seconds [Kinds]float64) {
	p := (*[Kinds]float64)(C.calloc(C.size_t(len(seconds)), 8))
	defer C.free(unsafe.Pointer(p))
	C.rk_profile(m.c, (*C.double)(&p[0]))
	f()
	C.rk_profile(m.c, nil)
	return *p
}

func flag(b bool) C.int32_t {
	if b {
		return 1
	}
	return 0
}
