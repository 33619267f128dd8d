//go:build cuda && cgo && linux

package cudatest

import (
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/reasond/reasond/internal/cuda"
)

// Several reports whether the test is to go on: the driver has n devices. Where
// the emulated one has fewer, it has the whole test run in a process of its own
// in which that has n, and reports false. A real driver with fewer skips the test.
func Several(t *testing.T, n int) bool {
	t.Helper()
	if err := cuda.Open(Driver(t)); err != nil {
		t.Fatal(err)
	}
	infos, err := cuda.Devices()
	switch {
	case err != nil:
		t.Fatal(err)
	case len(infos) >= n:
		return true
	case !Present():
		t.Skipf("%d devices are needed, the driver knows %d", n, len(infos))
	}
	const child = "EMU_TEST_OF_SEVERAL_DEVICES"
	if os.Getenv(child) != "" {
		t.Fatalf("the emulator has %d devices", len(infos))
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), "EMU_DEVICES="+strconv.Itoa(n), child+"=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("with %d devices: %v\n%s", n, err, out)
	}
	return false
}
