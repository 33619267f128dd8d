package cli

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/config"
	"github.com/reasond/reasond/internal/cuda"
)

// noDriver names a library that is not there, so that these tests see the same on
// every machine.
var noDriver = config.Libraries{Driver: "/nonexistent/libcuda.so"}

func TestWithoutADriverDevicesSaysSoInALineAndSucceeds(t *testing.T) {
	code, out, errs := invoke(t, "", "devices", "--cuda-driver", noDriver.Driver)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != exitOK || errs != "" || len(lines) != 2 || !strings.HasPrefix(lines[0], "cpu  ") || !strings.HasPrefix(lines[1], "no GPU: ") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	code, out, _ = invoke(t, "", "devices", "--json", "--cuda-driver", noDriver.Driver)
	var m machine
	if err := json.Unmarshal([]byte(out), &m); err != nil || code != exitOK || m.NoCUDA == "" || len(m.GPUs) != 0 || m.CPU.ISA == "" || m.CPU.Threads < 1 {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
	if !strings.Contains(out, `"gpus": []`) {
		t.Errorf("no list of GPUs: %s", out)
	}
}

func TestOnlyAGPUThatWasAskedForIsMissed(t *testing.T) {
	for _, kind := range []string{config.DeviceAuto, config.DeviceCPU} {
		m := config.Model{Device: config.Device{Kind: kind}, Libraries: noDriver}
		d, why, err := chooseDevice(&m)
		if err != nil || d.Kind != config.DeviceCPU {
			t.Errorf("%s: %v, %v", kind, d, err)
		}
		if fell := cuda.Built && kind == config.DeviceAuto; fell != (why != "") || strings.Contains(why, "\n") {
			t.Errorf("%s: why is %q", kind, why)
		}
	}
	want := cuda.ErrNoDriver
	if !cuda.Built {
		want = cuda.ErrNotBuilt
	}
	_, _, err := chooseDevice(&config.Model{Device: config.Device{Kind: config.DeviceCUDA, Index: 1}, Libraries: noDriver})
	if !errors.Is(err, want) || !strings.HasPrefix(err.Error(), "--device cuda:1: ") {
		t.Errorf("%v", err)
	}
	code, _, errs := invoke(t, "", "generate", "--device", "cuda", "--cuda-driver", noDriver.Driver, "hello")
	if code != exitError || !strings.HasPrefix(errs, "reasond: --device cuda:0: ") || strings.Count(errs, "\n") != 1 {
		t.Errorf("exit %d, %q", code, errs)
	}
	code, _, errs = invoke(t, "", "generate", "--device", "tpu", "hello")
	if code != exitUsage || !strings.Contains(errs, "must be auto, cpu, cuda or cuda:N") {
		t.Errorf("exit %d, %q", code, errs)
	}
}
