package gguf

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/reasond/reasond/internal/weights/quant"
)

// Parse reads and checks a whole GGUF file held in memory. Tensors alias data,
// which must not change; metadata is copied. An error is one line that names
// the key or tensor at fault.
func Parse(data []byte) (*File, error) {
	f, err := parse(&reader{data: data})
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	return f, nil
}

func parse(r *reader) (*File, error) {
	magic, err := r.bytes(4, "the magic")
	if err != nil || string(magic) != "GGUF" {
		return nil, fmt.Errorf("not a GGUF file")
	}
	version, err := r.u32("the version")
	if err != nil {
		return nil, err
	}
	if version&0xffff == 0 && version != 0 {
		return nil, fmt.Errorf("a big-endian file is not supported")
	}
	if version < minVersion || version > maxVersion {
		return nil, fmt.Errorf("version %d is not supported (%d to %d are)", version, minVersion, maxVersion)
	}
	tensors, err := r.count("the number of tensors", maxTensors, minTensorBytes)
	if err != nil {
		return nil, err
	}
	pairs, err := r.count("the number of metadata pairs", maxPairs, minPairBytes)
	if err != nil {
		return nil, err
	}
	f := &File{Version: int(version)}
	if err := f.metadata(r, pairs); err != nil {
		return nil, err
	}
	if err := f.alignment(); err != nil {
		return nil, err
	}
	infos, err := tensorTable(r, tensors)
	if err != nil {
		return nil, err
	}
	return f, f.place(infos, r)
}

// alignment is that of the data section and of each tensor in it, 32 unless
// the metadata says otherwise.
func (f *File) alignment() error {
	f.Alignment = 32
	v, ok := f.meta["general.alignment"]
	if !ok {
		return nil
	}
	n, ok := toInt(v)
	if !ok || n < minAlignment || n > maxAlignment || n&(n-1) != 0 {
		return fmt.Errorf("general.alignment is %.80v, not a power of two from %d to %d", v, minAlignment, maxAlignment)
	}
	f.Alignment = int(n)
	return nil
}

// info is an entry of the tensor table; size has been derived with checks.
type info struct {
	Tensor
	offset uint64 // from the start of the data section
	size   uint64
}

func tensorTable(r *reader, n int) ([]info, error) {
	infos := make([]info, 0, n)
	for i := range n {
		name, err := r.str("a tensor's name", maxName)
		if err != nil {
			return nil, fmt.Errorf("tensor %d: %w", i, err)
		}
		in, err := tensorInfo(r, name)
		if err != nil {
			return nil, fmt.Errorf("tensor %.80q: %w", name, err)
		}
		infos = append(infos, in)
	}
	return infos, nil
}

func tensorInfo(r *reader, name string) (info, error) {
	dims, err := r.u32("the number of dimensions")
	if err != nil {
		return info{}, err
	}
	if dims < 1 || dims > maxDims {
		return info{}, fmt.Errorf("%d dimensions, not 1 to %d", dims, maxDims)
	}
	shape := make([]int, dims)
	elements := uint64(1)
	for i := range shape {
		n, err := r.u64("a dimension")
		if err != nil {
			return info{}, err
		}
		if n < 1 || n > maxDim {
			return info{}, fmt.Errorf("dimension %d is %d, not 1 to %d", i, n, maxDim)
		}
		if elements, err = mulAdd(elements, n, 0); err != nil {
			return info{}, fmt.Errorf("the number of elements: %w", err)
		}
		shape[int(dims)-1-i] = int(n)
	}
	number, err := r.u32("the tensor type")
	if err != nil {
		return info{}, err
	}
	dtype, err := dtypeOf(number)
	if err != nil {
		return info{}, err
	}
	cols, block := shape[dims-1], dtype.BlockSize()
	if cols%block != 0 {
		return info{}, fmt.Errorf("rows of %d are not whole %s blocks of %d", cols, dtype, block)
	}
	size, err := mulAdd(elements/uint64(block), uint64(dtype.BlockBytes()), 0)
	if err != nil {
		return info{}, fmt.Errorf("the size: %w", err)
	}
	offset, err := r.u64("the offset")
	if err != nil {
		return info{}, err
	}
	return info{Tensor: Tensor{Name: name, DType: dtype, Shape: shape}, offset: offset, size: size}, nil
}

// place gives each tensor its bytes: inside the file, aligned, and its own.
func (f *File) place(infos []info, r *reader) error {
	body := []byte{}
	if pad := -r.off & (f.Alignment - 1); pad <= r.left() {
		body = r.data[r.off+pad:]
	}
	f.Tensors = make([]Tensor, len(infos))
	f.index = make(map[string]int, len(infos))
	for i, in := range infos {
		if _, dup := f.index[in.Name]; dup {
			return fmt.Errorf("tensor %.80q is there twice", in.Name)
		}
		if in.offset%uint64(f.Alignment) != 0 {
			return fmt.Errorf("tensor %.80q: offset %d is not a multiple of %d", in.Name, in.offset, f.Alignment)
		}
		end, err := mulAdd(1, in.size, in.offset)
		if err != nil || end > uint64(len(body)) {
			return fmt.Errorf("tensor %.80q: %d bytes at %d are not within the data's %d", in.Name, in.size, in.offset, len(body))
		}
		f.index[in.Name] = i
		f.Tensors[i] = in.Tensor
		f.Tensors[i].Data = body[in.offset:end:end]
	}
	slices.SortFunc(infos, func(a, b info) int { return cmp.Compare(a.offset, b.offset) })
	for i := 1; i < len(infos); i++ {
		if before := infos[i-1]; infos[i].offset < before.offset+before.size {
			return fmt.Errorf("tensors %.80q and %.80q overlap", before.Name, infos[i].Name)
		}
	}
	return nil
}

// mulAdd is a*b + c, refused beyond the int range: every size that is computed
// from the file goes through it.
func mulAdd(a, b, c uint64) (uint64, error) {
	hi, lo := bits.Mul64(a, b)
	sum, carry := bits.Add64(lo, c, 0)
	if hi != 0 || carry != 0 || sum > math.MaxInt {
		return 0, fmt.Errorf("%d x %d + %d is too large", a, b, c)
	}
	return sum, nil
}

// dtypeOf is the format of ggml's type number.
func dtypeOf(number uint32) (quant.DType, error) {
	switch number {
	case 0:
		return quant.F32, nil
	case 1:
		return quant.F16, nil
	case 2:
		return quant.Q4_0, nil
	case 3:
		return quant.Q4_1, nil
	case 6:
		return quant.Q5_0, nil
	case 8:
		return quant.Q8_0, nil
	case 12:
		return quant.Q4_K, nil
	case 13:
		return quant.Q5_K, nil
	case 14:
		return quant.Q6_K, nil
	case 30:
		return quant.BF16, nil
	case 39:
		return quant.MXFP4, nil
	}
	if name, ok := unsupported[number]; ok {
		return 0, fmt.Errorf("type %s is not supported", name)
	}
	return 0, fmt.Errorf("type %d is unknown", number)
}

// unsupported names the types that exist in files but are not read.
var unsupported = map[uint32]string{
	7: "Q5_1", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K",
	16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL",
	21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32",
	27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0",
}
