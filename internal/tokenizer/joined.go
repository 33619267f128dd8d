package tokenizer

import "unsafe"

// joined is strings by id that lie end to end. Nothing changes them once they are
// all there.
type joined struct {
	data []byte
	end  []uint32 // where id's bytes end; they start where id-1's end
}

// newJoined has room for n strings of so many bytes together.
func newJoined(n, bytes int) joined {
	return joined{make([]byte, 0, bytes), make([]uint32, 0, n)}
}

// add takes data with the next string appended to it.
func (j *joined) add(data []byte) {
	j.data, j.end = data, append(j.end, uint32(len(data)))
}

func (j *joined) at(id int32) []byte {
	from, to := uint32(0), j.end[id]
	if id > 0 {
		from = j.end[id-1]
	}
	return j.data[from:to:to]
}

// text is at as a string, which is not copied.
func (j *joined) text(id int32) string {
	b := j.at(id)
	return unsafe.String(unsafe.SliceData(b), len(b))
}
