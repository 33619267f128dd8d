package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// cache is a repository's folder in the cache, laid out as huggingface_hub does:
//
//	models--org--name/blobs/<hash>                  a file's bytes
//	models--org--name/blobs/<hash>.incomplete       the beginning of one
//	models--org--name/snapshots/<commit>/<path>     a link to its blob
//	models--org--name/refs/<revision>               the commit it was last seen at
//	.locks/models--org--name/<hash>.lock            held while the blob is fetched
type cache struct {
	repo string // org/name
	root string // models--org--name
	lock string // .locks/models--org--name
}

func newCache(dir, repo string) cache {
	name := "models--" + strings.ReplaceAll(repo, "/", "--")
	return cache{repo: repo, root: filepath.Join(dir, name), lock: filepath.Join(dir, ".locks", name)}
}

func (c cache) blob(hash string) string { return filepath.Join(c.root, "blobs", hash) }

func (c cache) snapshotFile(commit, name string) string {
	return filepath.Join(c.root, "snapshots", commit, filepath.FromSlash(name))
}

// has reports whether the snapshot holds the file, whole by its length.
func (c cache) has(commit string, f file) bool {
	info, err := os.Stat(c.snapshotFile(commit, f.name))
	return err == nil && info.Mode().IsRegular() && info.Size() == f.size
}

// writeRef remembers the commit of a branch or tag.
func (c cache) writeRef(revision, commit string) error {
	if revision == commit {
		return nil
	}
	name := filepath.Join(c.root, "refs", filepath.FromSlash(revision))
	if old, err := os.ReadFile(name); err == nil && string(old) == commit {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(commit), 0o644)
}

// link makes the snapshot's name for a blob: a relative symbolic link, or a
// copy of the name's own where the system has none.
func (c cache) link(commit string, f file) error {
	name := c.snapshotFile(commit, f.name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	target, err := filepath.Rel(filepath.Dir(name), c.blob(f.hash))
	if err != nil {
		return err
	}
	if old, err := os.Readlink(name); err == nil && old == target {
		return nil
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, name); err == nil {
		return nil
	}
	return os.Rename(c.blob(f.hash), name)
}

// find is the model as the cache has it: the revision's last seen commit, with
// all files that opening needs.
func (c cache) find(ref Ref) (Snapshot, error) {
	commit := ref.Revision
	if !commitPattern.MatchString(commit) {
		raw, err := os.ReadFile(filepath.Join(c.root, "refs", filepath.FromSlash(ref.Revision)))
		if err != nil {
			return Snapshot{}, fmt.Errorf("it is not in the cache (%s)", c.root)
		}
		if commit = strings.TrimSpace(string(raw)); !commitPattern.MatchString(commit) {
			return Snapshot{}, fmt.Errorf("the cache's refs/%s holds no commit", ref.Revision)
		}
	}
	names, err := c.listSnapshot(commit)
	if err != nil || len(names) == 0 {
		return Snapshot{}, fmt.Errorf("it is not in the cache (%s)", c.root)
	}
	choice, err := choose(names, ref.Pick)
	if err != nil {
		return Snapshot{}, fmt.Errorf("in the cache (%s): %w", c.root, err)
	}
	if choice.index != "" {
		shards, err := readIndex(c.snapshotFile(commit, choice.index))
		if err != nil {
			return Snapshot{}, err
		}
		choice.files = append(choice.files, shards...)
	}
	for _, name := range choice.files {
		if _, err := os.Stat(c.snapshotFile(commit, name)); err != nil {
			return Snapshot{}, fmt.Errorf("it is in the cache only in part (%s is missing from %s)", name, c.root)
		}
	}
	return Snapshot{Path: c.snapshotFile(commit, choice.open), Commit: commit}, nil
}

// listSnapshot lists the snapshot's files with slashes; links to a blob that
// is not there are left out.
func (c cache) listSnapshot(commit string) ([]string, error) {
	root := c.snapshotFile(commit, "")
	var names []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		names = append(names, filepath.ToSlash(rel))
		return nil
	})
	return names, err
}
