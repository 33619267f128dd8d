package cpu_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/cpu"
)

const hostChild = "REASOND_TEST_HOST_CHILD"

// Threads are by default as many as the affinity mask has processors and the
// runtime, which knows the cgroup's quota, may use.
func TestThreadsAreNoMoreThanTheProcessMayUse(t *testing.T) {
	if os.Getenv(hostChild) != "" {
		_, threads := cpu.Host()
		b := smallModel(t, backend.Config{MaxRows: 8, MaxSeqs: 2, MaxContext: 64, Pages: 4})
		if got := b.Info().Threads; threads != 1 || got != 1 {
			t.Errorf("%d threads by Host, %d by New", threads, got)
		}
		return
	}
	child := func(env string, within ...string) {
		command := append(within, os.Args[0], "-test.run=^"+t.Name()+"$")
		c := exec.Command(command[0], command[1:]...)
		c.Env = append(os.Environ(), hostChild+"=1", env)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s %v: %v\n%s", env, command, err, out)
		}
	}
	child("GOMAXPROCS=1")
	if taskset, err := exec.LookPath("taskset"); err == nil {
		child("GOMAXPROCS=", taskset, "-c", "0")
	}
}
