//go:build cuda && cgo && linux

package cli

import (
	"testing"

	"github.com/reasond/reasond/internal/config"
	"github.com/reasond/reasond/internal/cuda/cudatest"
)

// Law: as many GPUs as are wanted must be there, from the first one on.
func TestGPUsAreCountedFromTheFirstOn(t *testing.T) {
	if !cudatest.Several(t, 2) {
		return
	}
	if !cudatest.Present() {
		t.Skip("a real machine has as many as it has")
	}
	for _, c := range []struct {
		index, tp, dp int
		refusal       string
	}{
		{0, 1, 1, ""}, {1, 1, 1, ""}, {0, 2, 1, ""}, {0, 1, 2, ""},
		{1, 2, 1, "--tensor-parallel-size 2, --data-parallel-size 1: 2 GPUs from cuda:1 on are needed, the driver knows 2 GPUs"},
		{0, 2, 2, "--tensor-parallel-size 2, --data-parallel-size 2: 4 GPUs from cuda:0 on are needed, the driver knows 2 GPUs"},
	} {
		m := config.DefaultModel()
		m.Device = config.Device{Kind: config.DeviceCUDA, Index: c.index}
		m.Libraries.Driver = cudatest.Driver(t)
		m.TensorParallel, m.DataParallel = c.tp, c.dp
		d, _, err := chooseDevice(&m)
		if c.refusal == "" && (err != nil || d != m.Device) || c.refusal != "" && (err == nil || err.Error() != c.refusal) {
			t.Errorf("%+v: %v, %v", c, d, err)
		}
	}
}
