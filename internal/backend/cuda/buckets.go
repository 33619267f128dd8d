//go:build cuda && cgo && linux

package cuda

// Launches are made for a bucket of rows: a step runs in the smallest one that
// holds it, and kernels leave the rows beyond the step's alone.

// buckets are the powers of two up to most, and most itself.
func buckets(most int) []int {
	var out []int
	for n := 1; n < most; n *= 2 {
		out = append(out, n)
	}
	return append(out, most)
}

// bucketOf is the index of the smallest bucket that holds n rows.
func bucketOf(buckets []int, n int) int {
	for i, b := range buckets {
		if n <= b {
			return i
		}
	}
	return len(buckets) - 1
}
