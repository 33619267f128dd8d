//go:build cuda && cgo && linux

package cudatest

import (
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/reasond/reasond/internal/cuda"
)

// Several reports whether the test is to go on, on a driver with n devices. The
// process of `go test` only runs the whole test once more in one of its own, in
// which the emulator has n devices, and there is nothing left to do: a process
// opens one driver for good. A real driver with fewer devices skips the test.
func Several(t *testing.T, n int) bool {
	t.Helper()
	path := Driver(t)
	const child = "EMU_TEST_OF_SEVERAL_DEVICES"
	if os.Getenv(child) == "" {
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
	if err := cuda.Open(path); err != nil {
		t.Fatal(err)
	}
	infos, err := cuda.Devices()
	switch {
	case err != nil:
		t.Fatal(err)
	case len(infos) >= n:
	case Present():
		t.Fatalf("the emulator has %d devices", len(infos))
	default:
		t.Skipf("%d devices are needed, the driver knows %d", n, len(infos))
	}
	return true
}
