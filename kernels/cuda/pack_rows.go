package cuda

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/reasond/reasond/internal/weights"
	"github.com/reasond/reasond/internal/weights/quant"
)

// row is a row of a matrix before it is packed; the zero value fills a tile.
type row struct {
	t    *weights.Tensor
	i    int
	bias *weights.Tensor
}

// run is neighbouring rows of one format.
type run struct {
	format Format
	rows   []row
}

// runs divides a matrix by format. A gated one is a single run; where gate and
// up differ in format it is rounded to bfloat16.
func (m Matrix) runs() ([]run, error) {
	var runs []run
	for i := range m.Parts {
		t := &m.Parts[i]
		f, err := formatOf(*t)
		if err != nil {
			return nil, err
		}
		rows := make([]row, t.Rows())
		for r := range rows {
			rows[r] = row{t: t, i: r}
			if m.Bias != nil && m.Bias[i].Data != nil {
				rows[r].bias = &m.Bias[i]
			}
		}
		if n := len(runs); n > 0 && runs[n-1].format == f && !m.Gated {
			runs[n-1].rows = append(runs[n-1].rows, rows...)
		} else {
			runs = append(runs, run{f, rows})
		}
	}
	if !m.Gated {
		return runs, nil
	}
	if len(runs) != 2 || len(runs[0].rows) != len(runs[1].rows) {
		return nil, fmt.Errorf("cuda: a gated matrix is made of gate and up of equal shape")
	}
	g := run{format: runs[0].format}
	if runs[1].format != g.format {
		g.format = FormatBF16
	}
	n := len(runs[0].rows)
	for at := 0; at < n; at += 8 {
		var eight [16]row
		copy(eight[:8], runs[0].rows[at:min(at+8, n)])
		copy(eight[8:], runs[1].rows[at:min(at+8, n)])
		g.rows = append(g.rows, eight[:]...)
	}
	return []run{g}, nil
}

// side says how many columns share a side word, as log2, and whether each row
// has its own or each eight rows one.
func (r run) side(in int) (shift, stride int) {
	if n := formats[r.format].side; n >= 0 {
		for 1<<shift < n {
			shift++
		}
		return shift, 1
	}
	shift = 7
	for _, row := range r.rows {
		if row.t != nil && row.t.ScaleBlock[1] < in {
			for row.t.ScaleBlock[1]%(1<<shift) != 0 {
				shift--
			}
		}
	}
	if r.format != FormatFP8 {
		return shift, 1
	}
	for i, row := range r.rows {
		first := r.rows[i/8*8]
		if row.t != first.t || (row.t != nil && row.i/row.t.ScaleBlock[0] != first.i/first.t.ScaleBlock[0]) {
			return shift, 1
		}
	}
	return shift, 0
}

// Pack writes a matrix of this layout to dst, which has l.Bytes.
func (l Layout) Pack(dst []byte, m Matrix) error {
	other, err := NewLayout(m)
	if err != nil {
		return err
	}
	if !l.Equal(other) || int64(len(dst)) != l.Bytes {
		return fmt.Errorf("cuda: a matrix of another layout, or %d bytes instead of %d", len(dst), l.Bytes)
	}
	clear(dst)
	runs, err := m.runs()
	if err != nil {
		return err
	}
	for i, r := range runs {
		p := l.Parts[i]
		if p.Bias >= 0 {
			packBias(dst[p.Bias:], r.rows)
		}
		tiles := ceilDiv(len(r.rows), tileRows)
		parallel(tiles, func(tile int) {
			rows := r.rows[tile*tileRows : min((tile+1)*tileRows, len(r.rows))]
			if p.Format == FormatBF16 {
				for j, row := range rows {
					at := p.Offset + int64(tile*tileRows+j)*int64(l.stride())*2
					row.bf16(dst[at:at+int64(l.In)*2], l.In)
				}
				return
			}
			steps := ceilDiv(l.In, stepCols)
			bytes := steps * p.Format.record()
			at := p.Offset + int64(tile)*int64(bytes)
			packTile(p.Format, dst[at:at+int64(bytes)], rows, l.In)
			if words := p.sideGroups(l.In) * p.sideTile(); formats[p.Format].side != 0 {
				at := p.Side + int64(tile)*int64(words)*4
				packSide(p, dst[at:at+int64(words)*4], rows, l.In)
			}
		})
	}
	return nil
}

// parallel calls f for 0..n-1 on all cores.
func parallel(n int, f func(int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := n * w / workers; i < n*(w+1)/workers; i++ {
				f(i)
			}
		})
	}
	wg.Wait()
}

func packBias(dst []byte, rows []row) {
	for i, r := range rows {
		if r.bias != nil {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(element(*r.bias, r.i)))
		}
	}
}

// element is an element of a tensor of plain numbers.
func element(t weights.Tensor, i int) float32 {
	var v [1]float32
	n := t.DType.BlockBytes()
	quant.Dequantise(v[:], t.DType, t.Data[i*n:(i+1)*n])
	return v[0]
}

// bf16 writes the row rounded to bfloat16.
func (r row) bf16(dst []byte, cols int) {
	if r.t == nil {
		return
	}
	if r.t.DType == weights.BF16 {
		copy(dst, r.t.Data[r.i*cols*2:(r.i+1)*cols*2])
		return
	}
	values := make([]float32, cols)
	r.t.Row(values, r.i)
	for i, v := range values {
		binary.LittleEndian.PutUint16(dst[2*i:], roundBF16(v))
	}
}

// roundBF16 rounds to nearest even.
func roundBF16(v float32) uint16 {
	bits := math.Float32bits(v)
	if bits&0x7fffffff > 0x7f800000 {
		return 0x7fc0 // NaN
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// packTile writes a tile's records.
func packTile(f Format, dst []byte, rows []row, in int) {
	record, scales := f.record(), formats[f].scales
	codes := make([]byte, ceilDiv(in, stepCols)*stepCols)
	for j, r := range rows {
		if r.t == nil {
			continue
		}
		data := r.t.Data[r.i*r.t.RowBytes() : (r.i+1)*r.t.RowBytes()]
		unpackers[f](codes[:in], data)
		for at := 0; at < in; at += stepCols {
			to := dst[at/stepCols*record:][:record]
			packCodes(to[:formats[f].codes], (*[stepCols]byte)(codes[at:]), j)
			packScales(f, to[formats[f].codes+j*scales:][:scales], data, at, min(stepCols, in-at))
		}
	}
}

// packCodes puts the 64 codes of row j of a tile into a record. Column k is with
// lane j%8*4 + k%8/2, in the A fragment of step k/16 of mma.m16n8k16, register
// p = j/8 + 2*(k%16/8), half h = k%2.
//
//	4 bits  word step of the lane's 16 bytes, nibble p + 4h: one shift and mask
//	        leave a register's two codes in the low bits of its halves
//	+1 bit  word of the lane at 512, bit 4*step + p + 16h
//	+2 bits two words of the lane at 512, word step/2, bits 8*(step%2) + 2p + 16h
//	8 bits  16 bytes of the lane at 512*(step/2), word 2*(step%2) + p/2, byte
//	        p%2 + 2h: registers lie in the even and the odd bytes
//
// A lane has four of a row's codes in a step: registers j/8 and j/8+2.
func packCodes(record []byte, codes *[stepCols]byte, j int) {
	half := j / 8
	for t := range 4 {
		lane := j%8*4 + t
		var bits uint32
		var pairs [2]uint32
		for step := range 4 {
			k := 16*step + 2*t
			a, b, c, d := uint32(codes[k]), uint32(codes[k+1]), uint32(codes[k+8]), uint32(codes[k+9])
			if len(record) == 1024 {
				at := record[step/2*512+lane*16+step%2*8+half:][:7]
				at[0], at[2], at[4], at[6] = byte(a), byte(b), byte(c), byte(d)
				continue
			}
			at := record[lane*16+step*4:]
			low := a&15 | b&15<<16 | c&15<<8 | d&15<<24
			binary.LittleEndian.PutUint32(at, binary.LittleEndian.Uint32(at)|low<<(4*half))
			a, b, c, d = a>>4, b>>4, c>>4, d>>4
			bits |= (a | b<<16 | c<<2 | d<<18) << (4*step + half)
			pairs[step/2] |= (a | b<<16 | c<<4 | d<<20) << (8*(step%2) + 2*half)
		}
		switch len(record) {
		case 640:
			at := record[512+lane*4:]
			binary.LittleEndian.PutUint32(at, binary.LittleEndian.Uint32(at)|bits)
		case 768:
			at := record[512+lane*8:]
			binary.LittleEndian.PutUint32(at, binary.LittleEndian.Uint32(at)|pairs[0])
			binary.LittleEndian.PutUint32(at[4:], binary.LittleEndian.Uint32(at[4:])|pairs[1])
		}
	}
}

// packScales writes a row's scales of columns at..at+n-1.
func packScales(f Format, dst, data []byte, at, n int) {
	switch f {
	case FormatQ8:
		for g := range n / 32 {
			copy(dst[2*g:], data[(at/32+g)*34:][:2])
		}
	case FormatQ4:
		for g := range n / 32 {
			copy(dst[2*g:], data[(at/32+g)*18:][:2])
		}
	case FormatQ4M:
		for g := range n / 32 {
			copy(dst[4*g:], data[(at/32+g)*20:][:4])
		}
	case FormatMXFP4:
		for g := range n / 32 {
			dst[g] = data[(at/32+g)*17]
		}
	case FormatQ4K, FormatQ5K:
		size := 144
		if f == FormatQ5K {
			size = 176
		}
		s := data[at/256*size+4:][:12]
		for g := range 2 {
			dst[2*g], dst[2*g+1] = scaleMin(s, at%256/32+g)
		}
	case FormatQ6K:
		copy(dst, data[at/256*210+192+at%256/16:][:4])
	}
}

// scaleMin is the scale and minimum of group g of a K block, see package quant.
func scaleMin(s []byte, g int) (sc, mn byte) {
	if g < 4 {
		return s[g] & 63, s[g+4] & 63
	}
	return s[g+4]&15 | s[g-4]>>6<<4, s[g+4]>>4 | s[g]>>6<<4
}

// packSide writes a tile's side words.
func packSide(p Part, dst []byte, rows []row, in int) {
	for j, r := range rows {
		if r.t == nil || (p.SideStride == 0 && j%8 != 0) {
			continue
		}
		index := j
		if p.SideStride == 0 {
			index = j / 8
		}
		for g := 0; g<<p.SideShift < in; g++ {
			binary.LittleEndian.PutUint32(dst[4*(g*p.sideTile()+index):], sideWord(p.Format, r, g<<p.SideShift))
		}
	}
}

// sideWord is what the group of columns from at on shares in a row.
func sideWord(f Format, r row, at int) uint32 {
	data := r.t.Data[r.i*r.t.RowBytes() : (r.i+1)*r.t.RowBytes()]
	switch f {
	case FormatQ4K:
		return binary.LittleEndian.Uint32(data[at/256*144:])
	case FormatQ5K:
		return binary.LittleEndian.Uint32(data[at/256*176:])
	case FormatQ6K:
		return uint32(binary.LittleEndian.Uint16(data[at/256*210+208:]))
	}
	s := r.t.Scale
	i := r.i/r.t.ScaleBlock[0]*s.Cols() + at/r.t.ScaleBlock[1]
	scale := math.Float32bits(element(*s, i))
	if f == FormatFP8 {
		return scale
	}
	return (scale+0x7f+scale>>8&1)&^0xff | uint32(r.t.Zero.Data[i])
}

// unpackers write the codes of a row, a byte each.
var unpackers = [formatCount]func(codes, data []byte){
	FormatQ8:    unpackQ8,
	FormatQ4:    func(codes, data []byte) { unpackNibbles(codes, data, 2) },
	FormatQ4M:   func(codes, data []byte) { unpackNibbles(codes, data, 4) },
	FormatMXFP4: func(codes, data []byte) { unpackNibbles(codes, data, 1) },
	FormatQ4K:   unpackQ4K,
	FormatQ5K:   unpackQ5K,
	FormatQ6K:   unpackQ6K,
	FormatI4: func(codes, data []byte) {
		for i, b := range data {
			codes[2*i], codes[2*i+1] = b&15, b>>4
		}
	},
	FormatFP8: func(codes, data []byte) { copy(codes, data) },
}

func unpackQ8(codes, data []byte) {
	for ; len(data) > 0; codes, data = codes[32:], data[34:] {
		copy(codes, data[2:34])
	}
}

// unpackNibbles takes blocks of header bytes and 16 of codes: element j in the
// low nibble of byte j, j+16 in its high one.
func unpackNibbles(codes, data []byte, header int) {
	for ; len(data) > 0; codes, data = codes[32:], data[header+16:] {
		for j, b := range data[header : header+16] {
			codes[j], codes[j+16] = b&15, b>>4
		}
	}
}

func unpackQ4K(codes, data []byte) {
	for ; len(data) > 0; codes, data = codes[256:], data[144:] {
		for i, b := range data[16:144] {
			at := i/32*64 + i%32
			codes[at], codes[at+32] = b&15, b>>4
		}
	}
}

func unpackQ5K(codes, data []byte) {
	for ; len(data) > 0; codes, data = codes[256:], data[176:] {
		high := data[16:48]
		for i, b := range data[48:176] {
			g, j := i/32*2, i%32
			codes[g*32+j] = b&15 | high[j]>>g&1<<4
			codes[g*32+32+j] = b>>4 | high[j]>>(g+1)&1<<4
		}
	}
}

func unpackQ6K(codes, data []byte) {
	for ; len(data) > 0; codes, data = codes[256:], data[210:] {
		for h := range 2 {
			low, high := data[h*64:h*64+64], data[128+h*32:128+h*32+32]
			for i := range 128 {
				codes[h*128+i] = low[i%64]>>(i/64*4)&15 | high[i%32]>>(i/32*2)&3<<4
			}
		}
	}
}
