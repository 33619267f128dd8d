package reference

// matmul gives emit the sum x[r]·w[n] for each of rows rows and each output n.
// Outputs are divided among threads; four rows share one pass over a weight
// row, each with its own sum in ascending order.
func (b *Backend) matmul(x buffer, l linear, rows int, emit func(r, n int, sum float64)) {
	wide := make([]float64, rows*l.in)
	for i := range wide {
		wide[i] = float64(x.data[i])
	}
	at := func(r int) []float64 { return wide[r*l.in : (r+1)*l.in] }
	b.parallel(l.out, func(from, to int) {
		for n := from; n < to; n++ {
			w := l.weight[n*l.in : (n+1)*l.in]
			r := 0
			for ; r+4 <= rows; r += 4 {
				s0, s1, s2, s3 := dot4(w, at(r), at(r+1), at(r+2), at(r+3))
				emit(r, n, s0)
				emit(r+1, n, s1)
				emit(r+2, n, s2)
				emit(r+3, n, s3)
			}
			for ; r < rows; r++ {
				emit(r, n, dot(w, at(r)))
			}
		}
	})
}

// The explicit conversions keep compilers from fusing product and sum, so that
// dot and dot4 agree to the bit everywhere.
func dot(w []float32, x []float64) (sum float64) {
	x = x[:len(w)]
	for i, v := range w {
		sum += float64(float64(v) * x[i])
	}
	return sum
}

func dot4(w []float32, x0, x1, x2, x3 []float64) (s0, s1, s2, s3 float64) {
	x0, x1, x2, x3 = x0[:len(w)], x1[:len(w)], x2[:len(w)], x3[:len(w)]
	for i, v := range w {
		f := float64(v)
		s0 += float64(f * x0[i])
		s1 += float64(f * x1[i])
		s2 += float64(f * x2[i])
		s3 += float64(f * x3[i])
	}
	return
}
