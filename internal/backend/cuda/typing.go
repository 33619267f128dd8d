//go:build cuda && cgo && linux

package cuda

import (
	"fmt"

	kernels "github.com/reasond/reasond/kernels/cuda"
)

// buffer is activations of MaxRows rows. Its type is decided by Build.
type buffer struct {
	cols  int
	float bool // float32, else bfloat16
	ptr   kernels.Ptr
}

// typing decides the buffers' types from what the ops say of them. A buffer is
// float32 where it is a residual stream: the embedding's output, or what an op
// adds to or the ranks sum up. Else it is bfloat16, as are those that an op
// takes in no other type.
type typing struct {
	streams map[*buffer]bool
	halves  map[*buffer]string // with the op that demands it
	sums    map[*buffer]string // must be float32
}

// stream says that values add up in b: float32 unless something speaks against it.
func (t *typing) stream(b *buffer) { t.streams[b] = true }

// half says that an op takes b as bfloat16 only.
func (t *typing) half(op string, b *buffer) { t.halves[b] = op }

// sum says that an op adds to b, in float32 only.
func (t *typing) sum(op string, b *buffer) { t.sums[b] = op }

// decide sets the types of all buffers that ops use.
func decide(ops []op) error {
	t := typing{map[*buffer]bool{}, map[*buffer]string{}, map[*buffer]string{}}
	for _, o := range ops {
		o.types(&t)
	}
	for b := range t.streams {
		b.float = true
	}
	for b, op := range t.sums {
		if other, ok := t.halves[b]; ok {
			return fmt.Errorf("cuda: %s adds to a buffer that %s reads as bfloat16", op, other)
		}
		b.float = true
	}
	for b := range t.halves {
		b.float = false
	}
	return nil
}

// bytes is an element's size.
func (b *buffer) bytes() int64 {
	if b.float {
		return 4
	}
	return 2
}
