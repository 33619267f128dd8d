//go:build unix

package weights

import (
	"fmt"
	"math"
	"os"
	"syscall"
)

// mapFile maps a file read only. The file must not shrink while it is mapped:
// reading past its new end kills the process.
func mapFile(path string) (mapping, error) {
	f, err := os.Open(path)
	if err != nil {
		return mapping{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return mapping{}, err
	}
	if !info.Mode().IsRegular() {
		return mapping{}, fmt.Errorf("open %s: not a regular file", path)
	}
	size := info.Size()
	if size == 0 {
		return mapping{}, nil
	}
	if size > math.MaxInt {
		return mapping{}, fmt.Errorf("open %s: %d bytes do not fit the address space", path, size)
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return mapping{}, fmt.Errorf("mmap %s: %w", path, err)
	}
	return mapping{data: data, mapped: true}, nil
}

func unmap(data []byte) error { return syscall.Munmap(data) }

// dontNeed advises the kernel to drop the whole pages within data[from:to].
// data starts on a page. It is a hint, so an error is of no interest.
func dontNeed(data []byte, from, to int) {
	page := os.Getpagesize()
	from = (from + page - 1) / page * page
	to = to / page * page
	if from < to {
		_ = syscall.Madvise(data[from:to], syscall.MADV_DONTNEED)
	}
}
