// Package emu_test runs the emulator's own tests, which are C++: selftest/*.cc over
// the kernels of testdata/*.cu.
package emu_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestTheEmulatorKeepsItsPromises(t *testing.T) {
	program, err := filepath.Abs("lib/selftest")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("the emulator is not built: run `make emu`")
	}
	out, err := exec.Command(program).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
