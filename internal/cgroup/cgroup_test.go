package cgroup

import (
	"testing"
	"testing/fstest"
)

// tree is a file system of files by path.
func tree(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

const (
	mountV2       = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountCPU      = "33 24 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:8 - cgroup cgroup rw,cpu,cpuacct\n"
	mountMemory   = "34 24 0:30 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
	mountUnified  = "35 24 0:31 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n"
	mountInDocker = "700 690 0:30 /docker/abc /sys/fs/cgroup/memory ro master:9 - cgroup cgroup rw,memory\n" +
		"701 690 0:29 /docker/abc /sys/fs/cgroup/cpu ro master:8 - cgroup cgroup rw,cpu\n"
)

// The tightest quota of a process's group and of those around it counts, whatever
// the version and wherever it is mounted.
func TestQuotas(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  float64
	}{
		"no groups": {nil, 0},
		"version 2": {map[string]string{
			"proc/self/cgroup": "0::/a.slice/b\n", "proc/self/mountinfo": mountV2,
			"sys/fs/cgroup/a.slice/b/cpu.max": "150000 100000\n",
		}, 1.5},
		"version 2 without a limit": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mountV2,
			"sys/fs/cgroup/a/cpu.max": "max 100000\n",
		}, 0},
		"a group around it is limited": {map[string]string{
			"proc/self/cgroup": "0::/a/b/c\n", "proc/self/mountinfo": mountV2,
			"sys/fs/cgroup/a/b/c/cpu.max": "max 100000\n", "sys/fs/cgroup/a/cpu.max": "50000 25000\n",
		}, 2},
		"the group within is tighter": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": mountV2,
			"sys/fs/cgroup/a/b/cpu.max": "50000 100000", "sys/fs/cgroup/a/cpu.max": "400000 100000",
		}, 0.5},
		"a container with a namespace of groups": {map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": "700 690 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			"sys/fs/cgroup/cpu.max": "300000 100000\n",
		}, 3},
		"a group outside of the mount": {map[string]string{
			"proc/self/cgroup": "0::/../other\n", "proc/self/mountinfo": mountV2,
			"sys/fs/cgroup/cpu.max": "300000 100000\n", "sys/fs/other/cpu.max": "100000 100000\n",
		}, 3},
		"version 1": {map[string]string{
			"proc/self/cgroup": "4:memory:/m\n3:cpuacct,cpu:/a/b\n0::/\n", "proc/self/mountinfo": mountUnified + mountMemory + mountCPU,
			"sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "250000\n", "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
		}, 2.5},
		"version 1 without a limit": {map[string]string{
			"proc/self/cgroup": "3:cpu:/\n0::/\n", "proc/self/mountinfo": mountUnified + mountCPU,
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
		}, 0},
		"version 1 in a container with the host's paths": {map[string]string{
			"proc/self/cgroup": "3:cpu:/docker/abc/own\n", "proc/self/mountinfo": mountInDocker,
			"sys/fs/cgroup/cpu/own/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/own/cpu.cfs_period_us": "100000",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
		}, 2},
		"a namesake of the container's group": {map[string]string{
			"proc/self/cgroup": "3:cpu:/docker/abcd\n", "proc/self/mountinfo": mountInDocker,
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
		}, 2},
		"a controller that version 1 has mounted nowhere": {map[string]string{
			"proc/self/cgroup": "3:cpu:/a\n0::/a\n", "proc/self/mountinfo": mountUnified,
			"sys/fs/cgroup/unified/a/cpu.max": "100000 100000",
		}, 0},
		"a mount point with a space": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": `29 23 0:26 / /my\040groups rw - cgroup2 cgroup2 rw`,
			"my groups/a/cpu.max": "100000 100000",
		}, 1},
		"files that say nothing": {map[string]string{
			"proc/self/cgroup": "\n:\n0::/a\n", "proc/self/mountinfo": "x\n - \n" + mountV2,
			"sys/fs/cgroup/a/cpu.max": "100000", "sys/fs/cgroup/cpu.max": "0 0",
		}, 0},
	} {
		if got := cpus(tree(c.files)); got != c.want {
			t.Errorf("%s: %g processors, want %g", name, got, c.want)
		}
	}
}

// What may still be taken is the least of what any group has left; files' pages
// count as free.
func TestMemory(t *testing.T) {
	for name, c := range map[string]struct {
		files   map[string]string
		free    int64
		limited bool
	}{
		"no groups": {nil, 0, false},
		"version 2": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mountV2,
			"sys/fs/cgroup/a/memory.max": "1000\n", "sys/fs/cgroup/a/memory.current": "700\n",
			"sys/fs/cgroup/a/memory.stat": "anon 250\nfile 450\ninactive_file 300\nactive_file 100\nslab 3\n",
		}, 700, true},
		"no limit": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mountV2,
			"sys/fs/cgroup/a/memory.max": "max\n", "sys/fs/cgroup/a/memory.high": "max\n", "sys/fs/cgroup/a/memory.current": "700\n",
		}, 0, false},
		"where the kernel slows it down": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mountV2,
			"sys/fs/cgroup/a/memory.max": "1000", "sys/fs/cgroup/a/memory.high": "800", "sys/fs/cgroup/a/memory.current": "700",
		}, 100, true},
		"a group around it has less left": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": mountV2,
			"sys/fs/cgroup/a/b/memory.max": "1000", "sys/fs/cgroup/a/b/memory.current": "100",
			"sys/fs/cgroup/a/memory.max": "2000", "sys/fs/cgroup/a/memory.current": "1900",
		}, 100, true},
		"nothing is left": {map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mountV2,
			"sys/fs/cgroup/memory.max": "1000", "sys/fs/cgroup/memory.current": "1001",
		}, 0, true},
		"version 1": {map[string]string{
			"proc/self/cgroup": "4:memory:/a/b\n", "proc/self/mountinfo": mountMemory,
			"sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "9223372036854771712", "sys/fs/cgroup/memory/a/b/memory.usage_in_bytes": "5",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1000", "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "700",
			"sys/fs/cgroup/memory/a/memory.stat": "inactive_file 1\ntotal_inactive_file 300\ntotal_active_file 100\n",
		}, 700, true},
	} {
		if free, limited := memory(tree(c.files)); free != c.free || limited != c.limited {
			t.Errorf("%s: %d, %v, want %d, %v", name, free, limited, c.free, c.limited)
		}
	}
}
