package gguf

import (
	"encoding/binary"
	"fmt"
)

// reader takes numbers and strings off the front of the file. Every method
// compares with the bytes that are left before it reads or allocates.
type reader struct {
	data []byte
	off  int
}

func (r *reader) left() int { return len(r.data) - r.off }

// bytes is the next n bytes, aliased.
func (r *reader) bytes(n uint64, what string) ([]byte, error) {
	if n > uint64(r.left()) {
		return nil, fmt.Errorf("%s needs %d bytes at byte %d, the file has %d more", what, n, r.off, r.left())
	}
	b := r.data[r.off : r.off+int(n)]
	r.off += int(n)
	return b, nil
}

func (r *reader) u32(what string) (uint32, error) {
	b, err := r.bytes(4, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (r *reader) u64(what string) (uint64, error) {
	b, err := r.bytes(8, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// count is a u64 of at most limit, whose items of at least itemBytes each can
// still be in the file.
func (r *reader) count(what string, limit, itemBytes int) (int, error) {
	n, err := r.u64(what)
	if err != nil {
		return 0, err
	}
	if n > uint64(limit) {
		return 0, fmt.Errorf("%s is %d, at most %d are read", what, n, limit)
	}
	if n > uint64(r.left()/itemBytes) {
		return 0, fmt.Errorf("%s is %d, the file has only %d more bytes", what, n, r.left())
	}
	return int(n), nil
}

// str is a length and a string of at most limit bytes, copied.
func (r *reader) str(what string, limit int) (string, error) {
	n, err := r.count("length of "+what, limit, 1)
	if err != nil {
		return "", err
	}
	b, err := r.bytes(uint64(n), what)
	return string(b), err
}
