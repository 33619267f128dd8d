package sample

import "math"

// Block is how many values share a maximum and a sum of a Scan.
const Block = 128

// Scan is a row of values with what reading it gives, block by block. What is
// drawn from a row is found in few of its blocks.
type Scan struct {
	Values []float32
	Mask   []uint32 // bit i of word i/32 allows id i; nil allows all

	Max []float32 // [blocks] the largest allowed value, -Inf where there is none
	// [blocks] the sum of the allowed values' weights: see weight, of Top and InvT,
	// 0 where that is less than MinP. The order is defined: weights i, i+16, … are
	// added up for each i of 16, then these halve by halve: i and i+8, i and i+4, ….
	Sums []float64
	NaN  bool    // a NaN is among the values, allowed or not
	Top  float32 // the largest of Max
	InvT float64 // 0: no sums are wanted
	MinP float64
}

// Scanner reads rows. All scanners give the same, bit for bit.
type Scanner interface {
	// Read fills in Max, NaN and Top, and Sums where InvT is not 0 and there is no NaN.
	Read(rows []Scan)
	// Floats and Doubles are memory in which a Scan's slices may lie, for as long as
	// the scanner lives.
	Floats(n int) []float32
	Doubles(n int) []float64
}

// Constants are what a weight is computed from: 2^(j/64) for j < 64, 64/ln2, ln2/64.
func Constants() []float64 {
	return append(append([]float64(nil), expTable[:]...), expPerStep, expStep)
}

// Plain is the scanner in Go.
type Plain struct{}

// Floats implements Scanner.
func (Plain) Floats(n int) []float32 { return make([]float32, n) }

// Doubles implements Scanner.
func (Plain) Doubles(n int) []float64 { return make([]float64, n) }

// Read implements Scanner.
func (Plain) Read(rows []Scan) {
	for i := range rows {
		r := &rows[i]
		r.NaN = false
		for b := range r.Max {
			block := r.block(b)
			r.NaN = r.NaN || hasNaN(block)
			r.Max[b] = maxOf(block, r.words(b))
		}
		r.Top = maxOf(r.Max, nil)
		for b := 0; b < len(r.Sums) && r.InvT != 0 && !r.NaN; b++ {
			r.Sums[b] = r.sum(b)
		}
	}
}

func maxOf(block []float32, words []uint32) float32 {
	top := float32(math.Inf(-1))
	if words == nil {
		for _, v := range block {
			top = max(top, v)
		}
		return top
	}
	for i, v := range block {
		if v > top && allowed(words, i) {
			top = v
		}
	}
	return top
}

func (r *Scan) sum(b int) float64 {
	var lanes [16]float64
	words := r.words(b)
	for i, v := range r.block(b) {
		if allowed(words, i) {
			lanes[i%16] += r.weight(v)
		}
	}
	for w := 8; w > 0; w /= 2 {
		for i := range w {
			lanes[i] += lanes[i+w]
		}
	}
	return lanes[0]
}

// weight is what a value counts, see Sums.
func (r *Scan) weight(v float32) float64 {
	if w := weight(v, r.Top, r.InvT); w >= r.MinP {
		return w
	}
	return 0
}

func (r *Scan) block(b int) []float32 { return r.Values[b*Block : min((b+1)*Block, len(r.Values))] }

// words is a block's part of the mask; nil: all are allowed.
func (r *Scan) words(b int) []uint32 {
	if r.Mask == nil {
		return nil
	}
	from := min(b*Block/32, len(r.Mask))
	return r.Mask[from:min(from+Block/32, len(r.Mask)):len(r.Mask)]
}

// allowed reports whether words allow a block's value i.
func allowed(words []uint32, i int) bool {
	return words == nil || i/32 < len(words) && words[i/32]>>(i%32)&1 != 0
}

// set makes r the scan of a row, whose results get memory from by.
func (r *Scan) set(values []float32, mask []uint32, by Scanner) {
	n := (len(values) + Block - 1) / Block
	if cap(r.Max) < n {
		r.Max, r.Sums = by.Floats(n), by.Doubles(n)
	}
	*r = Scan{Values: values, Mask: mask, Max: r.Max[:n], Sums: r.Sums[:n]}
}

// best is the allowed id of the largest value, the lowest one among equals.
func (r *Scan) best() (int32, error) {
	if r.NaN {
		return 0, ErrNaN
	}
	top, in := float32(math.Inf(-1)), -1
	for b, v := range r.Max {
		if v > top {
			top, in = v, b
		}
	}
	if in < 0 {
		return 0, ErrNothing
	}
	words := r.words(in)
	for i, v := range r.block(in) {
		if v == top && allowed(words, i) {
			return int32(in*Block + i), nil
		}
	}
	return 0, ErrNothing
}

// total is the sum of the weights.
func (r *Scan) total() float64 {
	sum := 0.0
	for _, w := range r.Sums {
		sum += w
	}
	return sum
}

// from calls yield for every allowed id whose value is at least bar, in order.
func (r *Scan) from(bar float32, yield func(id int32, v float32)) {
	for b, most := range r.Max {
		if most < bar {
			continue
		}
		words := r.words(b)
		for i, v := range r.block(b) {
			if v >= bar && allowed(words, i) {
				yield(int32(b*Block+i), v)
			}
		}
	}
}

// bar is a value that at least k allowed ones reach; -Inf where blocks do not tell.
// It is the k-th largest of the blocks' maxima. scratch is overwritten.
func (r *Scan) bar(k int, scratch []float32) (float32, []float32) {
	if k >= len(r.Max) {
		return float32(math.Inf(-1)), scratch
	}
	scratch = append(scratch[:0], r.Max...)
	return kth(scratch, k), scratch
}

// kth is the k-th largest of values (0 < k <= len), whose order it changes:
// Hoare's quickselect.
func kth(values []float32, k int) float32 {
	lo, hi := 0, len(values)-1
	for lo < hi {
		pivot := values[(lo+hi)/2]
		i, j := lo, hi
		for i <= j {
			for values[i] > pivot {
				i++
			}
			for values[j] < pivot {
				j--
			}
			if i <= j {
				values[i], values[j] = values[j], values[i]
				i++
				j--
			}
		}
		switch {
		case k-1 <= j:
			hi = j
		case k-1 >= i:
			lo = i
		default:
			return values[k-1]
		}
	}
	return values[k-1]
}
