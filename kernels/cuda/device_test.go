//go:build cuda && cgo && linux

package cuda_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"

	driver "github.com/reasond/reasond/internal/cuda"
	"github.com/reasond/reasond/internal/weights"
	"github.com/reasond/reasond/internal/weights/quant"
	"github.com/reasond/reasond/kernels/cuda"
)

// device is a GPU, or the emulated one, with the kernels loaded.
type device struct {
	*testing.T
	*driver.Device
	module  *driver.Module
	stream  *driver.Stream
	rng     *rand.Rand
	batch   cuda.Batch
	scratch cuda.Scratch
}

// openDevice takes the driver that REASOND_CUDA_DRIVER names, else the emulated
// one.
func openDevice(t *testing.T) *device {
	path := os.Getenv("REASOND_CUDA_DRIVER")
	if path == "" {
		path, _ = filepath.Abs("../emu/lib/libfakecuda.so")
		if _, err := os.Stat(path); err != nil {
			t.Skip("the emulated driver is not built: run `make emu`")
		}
	}
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	ok := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	ok(driver.Open(path))
	d := &device{T: t, rng: rand.New(rand.NewPCG(1, 2))}
	var err error
	d.Device, err = driver.NewDevice(0)
	ok(err)
	t.Cleanup(func() { d.Device.Close() })
	d.module, err = d.Load(cuda.Image())
	ok(err)
	d.stream, err = d.NewStream()
	ok(err)
	const sms = 16
	partials, counters := cuda.ScratchBytes(sms)
	d.scratch = cuda.Scratch{SMs: sms, Partials: d.alloc(int(partials)), Counters: d.upload(make([]byte, counters))}
	return d
}

// rows makes the batch's header say so many rows.
func (d *device) rows(n int) {
	header := make([]int32, cuda.HeaderWords)
	header[cuda.HeaderRows] = int32(n)
	d.batch = cuda.Batch{Header: d.upload(bytesOf(header))}
}

func (d *device) alloc(bytes int) cuda.Ptr {
	d.Helper()
	p, err := d.Alloc(int64(bytes))
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { d.Free(p) })
	return p
}

func (d *device) upload(b []byte) cuda.Ptr {
	d.Helper()
	p := d.alloc(len(b))
	if err := d.stream.CopyIn(p, b); err != nil {
		d.Fatal(err)
	}
	return p
}

func (d *device) download(p cuda.Ptr, bytes int) []byte {
	d.Helper()
	b := make([]byte, bytes)
	if err := d.stream.CopyOut(b, p); err != nil {
		d.Fatal(err)
	}
	return b
}

// run checks and enqueues launches, and waits for them.
func (d *device) run(launches []cuda.Launch, err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
	for _, l := range launches {
		if err := l.Check(); err != nil {
			d.Fatal(err)
		}
	}
	bound, err := d.module.Bind(launches...)
	if err != nil {
		d.Fatal(err)
	}
	list, err := driver.NewLaunches(bound)
	if err != nil {
		d.Fatal(err)
	}
	defer list.Free()
	if err := d.stream.Launch(list); err != nil {
		d.Fatal(err)
	}
	if err := d.stream.Sync(); err != nil {
		d.Fatal(err)
	}
}

func (d *device) one(l cuda.Launch, err error) {
	d.Helper()
	d.run([]cuda.Launch{l}, err)
}

// matrix packs and uploads matrices of one layout.
func (d *device) matrix(matrices ...cuda.Matrix) cuda.Weights {
	d.Helper()
	layout, err := cuda.NewLayout(matrices[0])
	if err != nil {
		d.Fatal(err)
	}
	packed := make([]byte, layout.Bytes*int64(len(matrices)))
	for i, m := range matrices {
		if err := layout.Pack(packed[int64(i)*layout.Bytes:int64(i+1)*layout.Bytes], m); err != nil {
			d.Fatal(err)
		}
	}
	return cuda.Weights{Layout: layout, Ptr: d.upload(packed), Count: len(matrices)}
}

// input is a buffer of small random numbers, all exact in bfloat16. Rows behind
// live are NaN.
func (d *device) input(elem cuda.Elem, rows, live, cols int) (cuda.Buffer, []float64) {
	values := make([]float64, rows*cols)
	for i := range values {
		values[i] = float64(d.rng.IntN(257)-128) / 64
		if i >= live*cols {
			values[i] = math.NaN()
		}
	}
	return d.buffer(elem, cols, values), values
}

func (d *device) buffer(elem cuda.Elem, cols int, values []float64) cuda.Buffer {
	b := make([]byte, 0, 4*len(values))
	for _, v := range values {
		bits := math.Float32bits(float32(v))
		if elem == cuda.ElemF32 {
			b = binary.LittleEndian.AppendUint32(b, bits)
		} else {
			b = binary.LittleEndian.AppendUint16(b, uint16(bits>>16))
		}
	}
	return cuda.Buffer{Ptr: d.upload(b), Elem: elem, Cols: cols}
}

func (d *device) values(b cuda.Buffer, rows int) []float64 {
	values := make([]float64, rows*b.Cols)
	data := d.download(b.Ptr, len(values)*b.Elem.Size())
	for i := range values {
		if b.Elem == cuda.ElemF32 {
			values[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
		} else {
			values[i] = float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[2*i:])) << 16))
		}
	}
	return values
}

func bytesOf[T any](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(s[0])))
}

func (d *device) ints(p cuda.Ptr, n int) []int32 {
	v := make([]int32, n)
	copy(bytesOf(v), d.download(p, 4*n))
	return v
}

// tensor is a random matrix in a format, with scales of moderate size.
func (d *device) tensor(t quant.DType, rows, cols int) weights.Tensor {
	m := weights.Tensor{Name: t.String(), DType: t, Shape: []int{rows, cols}}
	m.Data = make([]byte, rows*m.RowBytes())
	for i := range m.Data {
		m.Data[i] = byte(d.rng.Uint32())
	}
	half := func(at int) { binary.LittleEndian.PutUint16(m.Data[at:], uint16(0x1c00+d.rng.IntN(0x800))) } // 2^-8 to 2^-6
	n := t.BlockBytes()
	for at := 0; at < len(m.Data); at += n {
		switch t {
		case quant.F32:
			binary.LittleEndian.PutUint32(m.Data[at:], math.Float32bits(d.rng.Float32()*2-1))
		case quant.F16:
			m.Data[at+1] = m.Data[at+1]&0x83 | 0x38
		case quant.BF16:
			m.Data[at+1] = m.Data[at+1]&0x80 | 0x3e
		case quant.Q8_0, quant.Q4_0:
			half(at)
		case quant.Q4_1, quant.Q4_K, quant.Q5_K:
			half(at)
			half(at + 2)
		case quant.Q6_K:
			half(at + 208)
		case quant.MXFP4:
			m.Data[at] = byte(120 + d.rng.IntN(8))
		case quant.F8E4M3:
			m.Data[at] &^= 0x40 // no NaN
		}
	}
	return m
}

// scaled gives a tensor companions of blocks of rows by cols.
func (d *device) scaled(t quant.DType, scales quant.DType, rows, cols, blockRows, blockCols int) weights.Tensor {
	m := d.tensor(t, rows, cols)
	m.ScaleBlock = [2]int{blockRows, blockCols}
	shape := [2]int{(rows + blockRows - 1) / blockRows, (cols + blockCols - 1) / blockCols}
	s := d.tensor(scales, shape[0], shape[1])
	m.Scale = &s
	if t == quant.I4 {
		z := d.tensor(quant.U8, shape[0], shape[1])
		for i := range z.Data {
			z.Data[i] %= 17
		}
		m.Zero = &z
	}
	return m
}
