package hub

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// Ref names a model on the hub: org/name[@revision][:file-or-quant].
type Ref struct {
	Repo     string // org/name
	Revision string // a branch, tag or commit; "main" where none was given
	// Pick chooses among a repository's GGUF files: a file's path, or the name
	// of its quantisation such as Q4_K_M. Empty: see chooseGGUF.
	Pick string
}

// String is the reference as it is written on the command line.
func (r Ref) String() string {
	s := r.Repo
	if r.Revision != "" && r.Revision != defaultRevision {
		s += "@" + r.Revision
	}
	if r.Pick != "" {
		s += ":" + r.Pick
	}
	return s
}

const defaultRevision = "main"

var (
	repoPattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$`)
	revisionPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,254}$`)
	pickPattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,254}$`)
	commitPattern   = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// ParseRef reads org/name[@revision][:file-or-quant]. Its parts become folder
// names and URLs, so they are held to the hub's own alphabet.
func ParseRef(s string) (Ref, error) {
	head, pick, picked := strings.Cut(s, ":")
	repo, revision, revised := strings.Cut(head, "@")
	r := Ref{Repo: repo, Revision: defaultRevision, Pick: pick}
	if revised {
		r.Revision = revision
	}
	switch {
	case !repoPattern.MatchString(repo) || strings.Contains(repo, "--") || strings.Contains(repo, "..") || strings.HasSuffix(repo, ".git"):
		return Ref{}, fmt.Errorf("%.100q is not a hub id (org/name)", s)
	case !revisionPattern.MatchString(r.Revision) || !plainPath(r.Revision):
		return Ref{}, fmt.Errorf("%.100q: %.80q is not a revision", s, r.Revision)
	case picked && (!pickPattern.MatchString(pick) || !plainPath(pick)):
		return Ref{}, fmt.Errorf("%.100q: %.80q is neither a file nor a quantisation", s, pick)
	}
	return r, nil
}

// Target is what a model argument means: a path that exists, or a hub id.
type Target struct {
	Path string // a folder or file; empty for a hub id
	Ref  Ref
}

// Resolve decides what a model argument means. It looks at the disk only.
//
//  1. What exists is a path.
//  2. What is written like a path (./, /, ~, a back-slash, or a name that ends
//     in .gguf) but does not exist is an error.
//  3. org/name[@revision][:file-or-quant] is a hub id.
//  4. Anything else is an error that names the three forms.
func Resolve(arg string) (Target, error) {
	if arg == "" {
		return Target{}, fmt.Errorf("the model's name is empty")
	}
	if _, err := os.Stat(arg); err == nil { // 1
		return Target{Path: arg}, nil
	}
	if looksLikePath(arg) { // 2
		return Target{}, fmt.Errorf("model %.200q: no such folder or file", arg)
	}
	ref, err := ParseRef(arg)
	if err != nil { // 4
		return Target{}, fmt.Errorf("model %.200q is neither a folder, a .gguf file nor a hub id (org/name[@revision][:file or quantisation])", arg)
	}
	return Target{Ref: ref}, nil // 3
}

func looksLikePath(arg string) bool {
	for _, prefix := range []string{"/", "./", "../", "~"} {
		if strings.HasPrefix(arg, prefix) {
			return true
		}
	}
	return strings.Contains(arg, `\`) || arg == "." || arg == ".." ||
		strings.HasSuffix(arg, ".gguf") && !strings.Contains(arg, ":") ||
		strings.HasSuffix(arg, "/")
}
