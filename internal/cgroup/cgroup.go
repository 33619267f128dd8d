// Package cgroup says what the control groups of this process allow: processors
// and memory. It reads both versions of Linux's interface, and the limits of the
// groups around the process's own, as far as they can be seen. What to make of a
// limit is for others.
//
// The files are described in cgroups(7) and in the kernel's
// Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/.
package cgroup

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// CPUs is how many processors' time the process may use: quotas over periods.
// 0: there is no limit.
func CPUs() float64 { return cpus(os.DirFS("/")) }

// Memory is how many bytes the process and those in its groups may still take;
// what files hold of it is given up when it is needed, so it counts as free. ok
// is false where there is no limit.
func Memory() (free int64, ok bool) { return memory(os.DirFS("/")) }

func cpus(root fs.FS) (limit float64) {
	for _, g := range groupsOf(root, "cpu") {
		quota, period := g.quota()
		if quota <= 0 || period <= 0 {
			continue
		}
		if n := float64(quota) / float64(period); limit == 0 || n < limit {
			limit = n
		}
	}
	return limit
}

func memory(root fs.FS) (free int64, ok bool) {
	for _, g := range groupsOf(root, "memory") {
		limit, used := g.memory()
		if limit <= 0 || limit >= unlimited {
			continue
		}
		if left := max(limit-used, 0); !ok || left < free {
			free, ok = left, true
		}
	}
	return free, ok
}

// unlimited is above every limit that means something: version 1 writes the
// greatest number of pages where there is none.
const unlimited = 1 << 62

// quota is microseconds of processor time in a period; 0: not limited.
func (g group) quota() (quota, period int64) {
	if g.v1 {
		return g.number("cpu.cfs_quota_us"), g.number("cpu.cfs_period_us")
	}
	fields := strings.Fields(g.text("cpu.max"))
	if len(fields) != 2 {
		return 0, 0
	}
	return number(fields[0]), number(fields[1])
}

// memory is a limit, 0 if there is none, and what counts against it now.
func (g group) memory() (limit, used int64) {
	if g.v1 {
		return g.number("memory.limit_in_bytes"), g.number("memory.usage_in_bytes") - g.files("total_")
	}
	limit = g.number("memory.max")
	// Beyond memory.high the kernel takes pages away and slows the group down.
	if high := g.number("memory.high"); high > 0 && (limit <= 0 || high < limit) {
		limit = high
	}
	return limit, g.number("memory.current") - g.files("")
}

// files is how many bytes the page cache holds for the group, those below it
// included.
func (g group) files(prefix string) (bytes int64) {
	for line := range strings.Lines(g.text("memory.stat")) {
		switch key, value, _ := strings.Cut(line, " "); key {
		case prefix + "active_file", prefix + "inactive_file":
			bytes += number(value)
		}
	}
	return bytes
}

// group is a control group's folder.
type group struct {
	root fs.FS
	dir  string
	v1   bool
}

func (g group) text(file string) string {
	data, err := fs.ReadFile(g.root, path.Join(g.dir, file))
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(data))
}

func (g group) number(file string) int64 { return number(g.text(file)) }

// number reads an integer; "max", -1 and what is none give 0, no limit.
func number(s string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0
	}
	return max(n, 0)
}
