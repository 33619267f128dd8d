//go:build cuda && cgo && linux

package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/config"
	"github.com/reasond/reasond/internal/cuda/cudatest"
)

func oneSpace(line string) string { return strings.Join(strings.Fields(line), " ") }

// A process opens one driver for good, so the emulated one is opened in another.
func TestDevicesListsTheGPUsThatTheDriverKnows(t *testing.T) {
	if os.Getenv("DEVICES_OF_THE_EMULATOR") == "" {
		self := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		self.Env = append(os.Environ(), "DEVICES_OF_THE_EMULATOR=1", "EMU_DEVICES=2", "EMU_MEM=4294967296", "REASOND_CUDA_DRIVER="+cudatest.Driver(t))
		out, err := self.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	code, out, errs := invoke(t, "", "devices", "--cuda-driver", cudatest.Driver(t))
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != exitOK || len(lines) != 4 || oneSpace(lines[0]) != "cuda:0 Emulated GPU compute capability 9.0 4.0 GiB, 4.0 GiB free" ||
		!strings.HasPrefix(lines[1], "cuda:1 ") || !strings.HasPrefix(lines[2], "cpu ") || lines[3] != "CUDA driver for CUDA 13.0" {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	code, out, _ = invoke(t, "", "devices", "--json", "--cuda-driver", cudatest.Driver(t))
	var m machine
	if err := json.Unmarshal([]byte(out), &m); err != nil || code != exitOK || len(m.GPUs) != 2 || m.GPUs[1].Device != "cuda:1" ||
		m.GPUs[0].UUID == m.GPUs[1].UUID || m.GPUs[0].Free == nil || *m.GPUs[0].Free > m.GPUs[0].Total || m.Driver != "13.0" || m.NoCUDA != "" {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
	choose := func(d config.Device) (string, error) {
		m := config.DefaultModel()
		m.Device = d
		chosen, _, err := chooseDevice(&m)
		return chosen.String(), err
	}
	for asked, want := range map[config.Device]string{
		{Kind: config.DeviceAuto}: "cuda:0", {Kind: config.DeviceCPU}: "cpu", {Kind: config.DeviceCUDA, Index: 1}: "cuda:1",
	} {
		if got, err := choose(asked); err != nil || got != want {
			t.Errorf("%v: %v, %v", asked, got, err)
		}
	}
	if _, err := choose(config.Device{Kind: config.DeviceCUDA, Index: 2}); err == nil || err.Error() != "--device cuda:2: the driver knows 2 GPUs" {
		t.Errorf("%v", err)
	}
}
