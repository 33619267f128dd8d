//go:build cuda && cgo && linux

package cudatest

import (
	"os"
	"path/filepath"
	"testing"
)

// Driver is the path of the driver to test on: what REASOND_CUDA_DRIVER names, else
// the emulated one. It skips the test where that is not built.
func Driver(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("REASOND_CUDA_DRIVER"); path != "" {
		return path
	}
	return library(t, "libfakecuda.so")
}

// BLAS is the path of cuBLASLt: REASOND_CUBLASLT, else the emulated one.
func BLAS(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("REASOND_CUBLASLT"); path != "" {
		return path
	}
	return library(t, "libfakecublaslt.so")
}

// NCCL is the path of the emulated NCCL.
func NCCL(t testing.TB) string {
	t.Helper()
	return library(t, "libfakenccl.so")
}

// Kernels is an image for Device.Load that has the emulator's broken and sound test
// kernels in place of ours.
func Kernels(t testing.TB) []byte {
	t.Helper()
	return []byte("emu:" + library(t, "libkernels_test.so"))
}

// library finds what `make emu` has built, from the test's folder upwards.
func library(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		path := filepath.Join(dir, "kernels", "emu", "lib", name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Skip(name + " is not built: run `make emu`")
		}
		dir = up
	}
}
