package cpu_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/cpu"
	"github.com/reasond/reasond/internal/cgroup/cgrouptest"
)

const hostChild = "REASOND_TEST_HOST_CHILD"

// Threads are by default as many as the affinity mask has processors, the runtime
// may use and the quota of a control group feeds, of whichever group around the
// process: the runtime itself takes two where the quota is one.
func TestThreadsAreNoMoreThanTheProcessMayUse(t *testing.T) {
	if os.Getenv(hostChild) != "" {
		_, threads := cpu.Host()
		b := smallModel(t, backend.Config{MaxRows: 8, MaxSeqs: 2, MaxContext: 64, Pages: 4})
		if got := b.Info().Threads; threads != 1 || got != 1 {
			t.Errorf("%d threads by Host, %d by New", threads, got)
		}
		return
	}
	run := func(t *testing.T, c *exec.Cmd, env string) {
		c.Env = append(os.Environ(), hostChild+"=1", env)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	self := []string{os.Args[0], "-test.run=^TestThreadsAreNoMoreThanTheProcessMayUse$"}
	t.Run("GOMAXPROCS", func(t *testing.T) { run(t, exec.Command(self[0], self[1]), "GOMAXPROCS=1") })
	t.Run("affinity", func(t *testing.T) {
		taskset, err := exec.LookPath("taskset")
		if err != nil {
			t.Skip(err)
		}
		run(t, exec.Command(taskset, "-c", "0", self[0], self[1]), "GOMAXPROCS=")
	})
	t.Run("quota", func(t *testing.T) {
		group := cgrouptest.New(t, cgrouptest.Limits{CPUs: 1}, cgrouptest.Limits{})
		run(t, group.Command(self[0], self[1]), "GOMAXPROCS=")
	})
}
