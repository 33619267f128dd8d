//go:build cuda && cgo && linux

package cuda

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// fatbin is a header and a body of zeros.
func fatbin(body int) []byte {
	b := binary.LittleEndian.AppendUint32(nil, fatbinMagic)
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = binary.LittleEndian.AppendUint16(b, 16)
	b = binary.LittleEndian.AppendUint64(b, uint64(body))
	return append(b, make([]byte, body)...)
}

func TestFatbinsBehindEachOtherAreCutApart(t *testing.T) {
	a, b := fatbin(40), fatbin(8)
	both := bytes.Join([][]byte{a, b}, nil)
	if got := images(both); len(got) != 2 || !bytes.Equal(got[0], a) || !bytes.Equal(got[1], b) {
		t.Errorf("%d images", len(got))
	}
	lying := fatbin(40)
	binary.LittleEndian.PutUint64(lying[8:], 1<<63)
	for name, one := range map[string][]byte{
		"a fatbin": a, "PTX": []byte(".version 7.0\n"), "one that is cut off": both[:len(both)-1],
		"one with a tail": append(bytes.Clone(a), 0), "a length that is no length": lying, "nothing": nil,
	} {
		if got := images(one); len(got) != 1 || !bytes.Equal(got[0], one) {
			t.Errorf("%s: %d images", name, len(got))
		}
	}
}
