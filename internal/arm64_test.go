package internal_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The kernels compile for arm64, with NEON, wherever a compiler for it is found.
func TestTheKernelsCompileForARM64(t *testing.T) {
	const compiler = "aarch64-linux-gnu-gcc"
	if _, err := exec.LookPath(compiler); err != nil {
		t.Skip(compiler + " is not installed")
	}
	// Reading the sources makes them inputs of the test: a cached result of
	// `go test` is not taken for changed ones.
	sources, err := filepath.Glob("../kernels/cpu/*.[ch]")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	for _, name := range sources {
		if _, err := os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-o", os.DevNull, "../kernels/cpu")
	build.Env = append(os.Environ(), "CGO_ENABLED=1", "GOARCH=arm64", "CC="+compiler)
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
