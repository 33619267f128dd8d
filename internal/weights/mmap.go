package weights

import "unsafe"

// mapping is the bytes of one file: mapped, or read where the file system or
// the platform cannot map.
type mapping struct {
	data   []byte
	mapped bool
}

// release drops the whole pages inside data if it lies in this mapping, and
// reports whether it does.
func (m *mapping) release(data []byte) bool {
	if len(data) == 0 || len(m.data) == 0 {
		return false
	}
	base := uintptr(unsafe.Pointer(unsafe.SliceData(m.data)))
	at := uintptr(unsafe.Pointer(unsafe.SliceData(data)))
	if at < base || at-base >= uintptr(len(m.data)) {
		return false
	}
	if m.mapped {
		from := int(at - base)
		dontNeed(m.data, from, from+len(data))
	}
	return true
}

func (m *mapping) close() error {
	data, mapped := m.data, m.mapped
	m.data, m.mapped = nil, false
	if !mapped {
		return nil
	}
	return unmap(data)
}
