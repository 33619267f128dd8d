// Package cgrouptest makes control groups below that of the test's process, so
// that a program can be run within limits. Few machines let a test do that:
// where this one does not, the test is skipped and says why.
package cgrouptest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/cgroup"
)

// Limits of a group; 0: none.
type Limits struct {
	CPUs   float64
	Memory int64 // bytes
}

// Group is a control group, in version 1 one of each hierarchy that is limited.
type Group struct {
	tb   testing.TB
	dirs map[string]string // by controller
	v1   bool
}

// New makes groups, each within the one before, and returns the innermost. They
// are removed when the test has ended, and so must be the processes in them.
func New(tb testing.TB, nested ...Limits) *Group {
	tb.Helper()
	g := &Group{tb: tb, dirs: map[string]string{}}
	for _, controller := range []string{"cpu", "memory"} {
		dir, v1, ok := cgroup.Folder(controller)
		if !ok {
			tb.Skipf("no control groups for %s are mounted", controller)
		}
		g.dirs[controller], g.v1 = dir, v1
	}
	for i, limits := range nested {
		g.within(fmt.Sprintf("reasond-test-%d-%d", os.Getpid(), i), limits)
	}
	return g
}

// within makes a group in this one and steps into it.
func (g *Group) within(name string, limits Limits) {
	g.tb.Helper()
	if !g.v1 {
		// Groups below have a controller if this one passes it on, which one with
		// processes of its own may not.
		g.need(os.WriteFile(filepath.Join(g.dirs["cpu"], "cgroup.subtree_control"), []byte("+cpu +memory"), 0))
	}
	for controller, dir := range g.dirs {
		dir = filepath.Join(dir, name)
		if _, err := os.Stat(dir); err != nil { // in version 2 both are one
			g.need(os.Mkdir(dir, 0o755))
			g.tb.Cleanup(func() { remove(g.tb, dir) })
		}
		g.dirs[controller] = dir
	}
	const period = 100_000
	quota, memory := strconv.Itoa(int(limits.CPUs*period)), strconv.FormatInt(limits.Memory, 10)
	if limits.CPUs > 0 && g.v1 {
		g.set("cpu", "cpu.cfs_quota_us", quota)
	} else if limits.CPUs > 0 {
		g.set("cpu", "cpu.max", quota+" "+strconv.Itoa(period))
	}
	if limits.Memory > 0 && g.v1 {
		g.set("memory", "memory.limit_in_bytes", memory)
	} else if limits.Memory > 0 {
		g.set("memory", "memory.max", memory)
	}
}

func (g *Group) set(controller, file, value string) {
	g.tb.Helper()
	g.need(os.WriteFile(filepath.Join(g.dirs[controller], file), []byte(value), 0))
}

func (g *Group) need(err error) {
	g.tb.Helper()
	if err != nil {
		g.tb.Skip("this machine lets no test make control groups: ", err)
	}
}

// Command is a command that runs in the group.
func (g *Group) Command(name string, args ...string) *exec.Cmd {
	script := `echo $$ >"$1/cgroup.procs" && echo $$ >"$2/cgroup.procs" && shift 2 && exec "$@"`
	return exec.Command("sh", append([]string{"-c", script, "sh", g.dirs["cpu"], g.dirs["memory"], name}, args...)...)
}

// Stat is a counter of one of the group's files, of lines with a name and a
// number.
func (g *Group) Stat(controller, file, name string) (n int64) {
	g.tb.Helper()
	data, err := os.ReadFile(filepath.Join(g.dirs[controller], file))
	if err != nil {
		g.tb.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), " "); key == name {
			n, err = strconv.ParseInt(value, 10, 64)
			if err != nil {
				g.tb.Fatal(err)
			}
		}
	}
	return n
}

// remove removes a group as soon as its last process is gone.
func remove(tb testing.TB, dir string) {
	for deadline := time.Now().Add(5 * time.Second); ; {
		err := os.Remove(dir)
		if err == nil || time.Now().After(deadline) {
			if err != nil {
				tb.Error(err)
			}
			return
		}
		time.Sleep(10 * time.Millisecond) // the kernel tells nobody
	}
}
