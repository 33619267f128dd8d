package cgroup_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/cgroup"
	"github.com/reasond/reasond/internal/cgroup/cgrouptest"
)

const child = "REASOND_TEST_CGROUP_CHILD"

// In groups that the kernel has made, a process sees the tightest limits around it.
func TestLimitsOfRealGroups(t *testing.T) {
	if os.Getenv(child) != "" {
		free, _ := cgroup.Memory()
		fmt.Printf("limits: %g %d\n", cgroup.CPUs(), free)
		return
	}
	const memory = 300 << 20
	for _, c := range []struct {
		name   string
		limits []cgrouptest.Limits
		cpus   float64
	}{
		{"one group", []cgrouptest.Limits{{CPUs: 1.5, Memory: memory}}, 1.5},
		{"the outer one is limited", []cgrouptest.Limits{{CPUs: 0.75, Memory: memory}, {}}, 0.75},
		{"both are", []cgrouptest.Limits{{CPUs: 2, Memory: 2 * memory}, {CPUs: 1, Memory: memory}}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			command := cgrouptest.New(t, c.limits...).Command(os.Args[0], "-test.run=^TestLimitsOfRealGroups$")
			command.Env = append(os.Environ(), child+"=1")
			out, err := command.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var cpus float64
			var free int64
			_, line, _ := strings.Cut(string(out), "limits: ")
			if _, err := fmt.Sscan(line, &cpus, &free); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if cpus != c.cpus || free > memory || free < memory-64<<20 {
				t.Errorf("%g processors and %d bytes, want %g and nearly %d", cpus, free, c.cpus, memory)
			}
		})
	}
}
