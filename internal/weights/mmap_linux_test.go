package weights

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"
)

// resident is the kilobytes of a mapping that are in memory, by smaps.
func resident(t *testing.T, data []byte) (kb int) {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip("no /proc/self/smaps: ", err)
	}
	_, after, ok := strings.Cut(string(raw), fmt.Sprintf("%x-", uintptr(unsafe.Pointer(unsafe.SliceData(data)))))
	if !ok {
		t.Fatal("the mapping is not in smaps")
	}
	_, after, _ = strings.Cut(after, "\nRss:")
	if _, err := fmt.Sscan(after, &kb); err != nil {
		t.Fatal(err)
	}
	return kb
}

func TestReleasedTensorsLeaveMemory(t *testing.T) {
	m := open(t, "../../testdata/tiny-reasoner")
	whole := m.maps[0].data
	sum := 0
	for _, b := range whole {
		sum += int(b)
	}
	before := resident(t, whole)
	for _, name := range m.Names() {
		tensor, _ := m.Tensor(name)
		m.Release(tensor)
	}
	// What may stay: the header and the pages that two tensors share.
	if after := resident(t, whole); sum == 0 || before*1024 < len(whole) || after > before/5 {
		t.Errorf("%d kB of %d kB stay in memory", after, before)
	}
}
