//go:build cuda && cgo && linux

package cuda_test

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/cuda"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// The emulated libraries, beside each other; `make emu` builds them. Variables of
// the program's name others: a real driver, say.
const emulated = "../../kernels/emu/lib/"

func library(variable, name string) string {
	if path := os.Getenv(variable); path != "" {
		return path
	}
	return emulated + name
}

// before is what the package says without a driver.
var before struct {
	open    error
	devices []cuda.DeviceInfo
	err     error
	version string
}

// missing is why there is no driver to test; empty: there is one.
var missing string

func TestMain(m *testing.M) {
	before.open = cuda.Open("/nonexistent/libcuda.so.1")
	before.devices, before.err = cuda.Devices()
	before.version = cuda.DriverVersion()
	driver := library("REASOND_CUDA_DRIVER", "libfakecuda.so")
	if _, err := os.Stat(driver); err != nil && strings.Contains(driver, "/") {
		missing = driver + " is not there: run `make emu`"
	} else {
		if os.Getenv("EMU_DEVICES") == "" {
			os.Setenv("EMU_DEVICES", "2")
		}
		if err := cuda.Open(driver); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// open makes device i current on the test's thread.
func open(t testing.TB, i int) *cuda.Device {
	t.Helper()
	if missing != "" {
		t.Skip(missing)
	}
	infos, err := cuda.Devices()
	if err != nil {
		t.Fatal(err)
	}
	if i >= len(infos) {
		t.Skipf("there are %d devices", len(infos))
	}
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	d, err := cuda.NewDevice(i)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWithoutADriverThereAreNoDevicesAndTheReasonIsALine(t *testing.T) {
	if !errors.Is(before.open, cuda.ErrNoDriver) || strings.Contains(before.open.Error(), "\n") || !strings.Contains(before.open.Error(), "/nonexistent/") {
		t.Errorf("Open: %v", before.open)
	}
	if len(before.devices) != 0 || before.err != nil || before.version != "" {
		t.Errorf("%d devices, %v, version %q", len(before.devices), before.err, before.version)
	}
}

// The program that holds this package, which this test is, starts on a machine
// that has nothing of NVIDIA's.
func TestNoNVIDIALibraryIsLinked(t *testing.T) {
	self, err := os.Executable()
	ok(t, err)
	f, err := elf.Open(self)
	ok(t, err)
	defer f.Close()
	needed, err := f.DynString(elf.DT_NEEDED)
	ok(t, err)
	if len(needed) == 0 {
		t.Fatal("no libraries at all: the check is broken")
	}
	for _, name := range needed {
		if strings.Contains(name, "cuda") || strings.Contains(name, "cublas") || strings.Contains(name, "nccl") {
			t.Errorf("the binary needs %s; it needs %v", name, needed)
		}
	}
	symbols, err := f.DynamicSymbols()
	ok(t, err)
	if i := slices.IndexFunc(symbols, func(s elf.Symbol) bool {
		return strings.HasPrefix(s.Name, "cu") && s.Section == elf.SHN_UNDEF
	}); i >= 0 {
		t.Errorf("the binary wants %s from a library", symbols[i].Name)
	}
}

func TestDevicesAreDescribed(t *testing.T) {
	d := open(t, 0)
	infos := must(cuda.Devices())(t)
	seen := map[string]bool{}
	for i, info := range infos {
		if info.Index != i || info.Name == "" || !strings.HasPrefix(info.UUID, "GPU-") || len(info.UUID) != 40 || seen[info.UUID] ||
			info.Major < 5 || info.TotalMem <= 0 || info.SMs <= 0 || info.MaxShared < 48<<10 {
			t.Errorf("%+v", info)
		}
		seen[info.UUID] = true
		free, err := cuda.FreeMemory(i)
		if err != nil || free <= 0 || free > info.TotalMem {
			t.Errorf("device %d: %d bytes free of %d, %v", i, free, info.TotalMem, err)
		}
	}
	if free, total, err := d.MemInfo(); err != nil || free <= 0 || free > total {
		t.Errorf("after FreeMemory the context is another one: %d of %d, %v", free, total, err)
	}
	if cuda.DriverVersion() == "" {
		t.Error("no driver version")
	}
	for _, i := range []int{-1, len(infos)} {
		if _, err := cuda.NewDevice(i); err == nil {
			t.Errorf("there is a device %d", i)
		}
	}
}

// load brings the kernels to the device.
func load(t testing.TB, d *cuda.Device) *cuda.Module {
	t.Helper()
	m := must(d.Load(kernels.Image()))(t)
	t.Cleanup(func() {
		if !d.Lost() {
			ok(t, m.Unload())
		}
	})
	return m
}
