package cgroup

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// Folder is where the process's own group of a controller lies, and whether it is
// one of version 1: for those who make groups in it.
func Folder(controller string) (dir string, v1, ok bool) {
	groups := groupsOf(os.DirFS("/"), controller)
	if len(groups) == 0 {
		return "", false, false
	}
	return "/" + groups[0].dir, groups[0].v1, true
}

// groupsOf is the process's group of a controller and those around it, the
// innermost first, up to the one that is mounted.
func groupsOf(root fs.FS, controller string) []group {
	own, v1, ok := membership(root, controller)
	if !ok {
		return nil
	}
	m, ok := mounted(root, controller, v1)
	if !ok {
		return nil
	}
	top := strings.TrimPrefix(m.point, "/")
	var groups []group
	for dir := m.below(own); ; dir = path.Dir(dir) {
		groups = append(groups, group{root, path.Join(top, dir), v1})
		if dir == "/" {
			return groups
		}
	}
}

// membership is the path of the process's group of a controller by
// /proc/self/cgroup, whose lines are number:controllers:path. A controller that
// no group of version 1 has is version 2's, whose line is 0::path.
func membership(root fs.FS, controller string) (own string, v1, ok bool) {
	data, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return "", false, false
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.SplitN(strings.TrimRight(line, "\n"), ":", 3)
		switch {
		case len(fields) < 3:
		case slices.Contains(strings.Split(fields[1], ","), controller):
			return fields[2], true, true
		case fields[0] == "0" && fields[1] == "":
			own, ok = fields[2], true
		}
	}
	return own, false, ok
}

// mount is where a hierarchy is seen: the group root of it lies at point.
type mount struct{ root, point string }

// mounted finds a controller's hierarchy in /proc/self/mountinfo. A line is
//
//	36 35 0:30 /root /mount/point options [more fields] - type source options
func mounted(root fs.FS, controller string, v1 bool) (mount, bool) {
	data, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return mount{}, false
	}
	for line := range strings.Lines(string(data)) {
		before, after, ok := strings.Cut(strings.TrimRight(line, "\n"), " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		has := kind[0] == "cgroup2" && !v1 ||
			kind[0] == "cgroup" && v1 && slices.Contains(strings.Split(kind[2], ","), controller)
		if has {
			return mount{unescape(fields[3]), unescape(fields[4])}, true
		}
	}
	return mount{}, false
}

// below is a group's path under the mount. In a container without a namespace of
// groups the path is the host's, and the mount shows but that group; a group
// outside of the mount cannot be seen, so that the mounted one stands for it.
func (m mount) below(own string) string {
	rest, ok := own, m.root == "/"
	if !ok {
		rest, ok = strings.CutPrefix(own, m.root)
	}
	if !ok || rest != "" && rest[0] != '/' || slices.Contains(strings.Split(rest, "/"), "..") {
		return "/"
	}
	return path.Clean("/" + rest)
}

// unescape reads the characters that mountinfo writes in octal.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
