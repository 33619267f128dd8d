// Package internal_test holds the rules about who may import and use what. It
// parses the files instead of asking `go list`, whose cached answers can miss a
// violation.
package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/reasond/reasond/"

// file is a parsed production file.
type file struct {
	path    string // relative to the repository, with /
	pkg     string // its folder
	imports []string
	ast     *ast.File
	set     *token.FileSet
}

// sourceFiles parses every Go file of the repository; tests are left out.
func sourceFiles(t *testing.T) []file {
	t.Helper()
	var files []file
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != ".." && (strings.HasPrefix(base, ".") || base == "node_modules" || base == "target") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); name != ".." && err == nil {
				return filepath.SkipDir // a module of its own
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") {
			return nil
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(filepath.ToSlash(name), "../")
		f := file{path: rel, pkg: path.Dir(rel), ast: parsed, set: set}
		for _, spec := range parsed.Imports {
			p, _ := strconv.Unquote(spec.Path.Value) // the parser has checked it
			f.imports = append(f.imports, p)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("only %d files found: the walk is broken", len(files))
	}
	return files
}

// within reports whether a package is one of the given ones or below one.
func within(pkg string, trees ...string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool {
		return pkg == tree || strings.HasPrefix(pkg, tree+"/")
	})
}

// own is an import's path inside this module, "" if it is of another one.
func own(imported string) string {
	if rest, ok := strings.CutPrefix(imported, module); ok {
		return rest
	}
	return ""
}

// std reports whether an import is of the standard library.
func std(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return imported != "C" && !strings.Contains(first, ".")
}

// onlyBy says which packages alone may import something.
var onlyBy = []struct {
	imported string // a package and all below it
	by       []string
}{
	{"C", []string{"internal/native", "internal/cuda", "kernels/cpu"}},
	{"github.com/daulet/tokenizers", []string{"internal/native", "internal/tokenizer"}},
	{"github.com/go-chi/chi", []string{"internal/server"}},
	{"github.com/prometheus/client_golang", []string{"internal/metrics", "internal/server"}},
	{"github.com/spf13", []string{"internal/cli", "internal/config"}},
	{"github.com/vbauerster/mpb", []string{"internal/cli"}},
	{"gorgonia.org/cu", []string{"internal/cuda"}},
	{"net/http", []string{"internal/server", "internal/metrics", "internal/remote", "internal/weights/hub", "internal/cli", "internal/bench/load"}},
	{module + "internal/cli", []string{"api/reasond"}},
	{module + "internal/config", []string{"internal/cli"}},
	{module + "internal/native", []string{"internal/native", "internal/prompt", "internal/tokenizer", "internal/grammar"}},
	{module + "internal/server", []string{"internal/cli"}},
	{module + "internal/cuda", []string{"internal/backend/cuda", "internal/backend/ranks", "internal/bundle", "internal/cli", "internal/cuda", "internal/gpucheck"}},
	{module + "internal/bundle", []string{"internal/cli", "api/reasond"}},
	{module + "kernels/cpu", []string{"internal/backend/cpu"}},
	{module + "kernels/cuda", []string{"internal/backend/cuda", "internal/cuda", "internal/gpucheck"}},
}

// mayImport limits what a package and those below it import of this module; the
// longest matching tree counts. The packages outside of the table import what
// they like within the other rules.
var mayImport = []struct {
	tree    string
	imports []string
}{
	{"api", []string{"api"}},
	{"api/reasoning", []string{}},
	{"api/reasoning/builtin", []string{"internal/reasoning"}},
	{"api/reasond", []string{"api", "internal/cli", "internal/bundle", "internal/pipeline", "internal/llm"}},
	{"internal/llm", []string{}},
	{"internal/reasoning", []string{"api/reasoning", "internal/lark"}},
	{"internal/lark", []string{"api/reasoning"}},
	{"internal/lark/larktest", []string{"api/reasoning", "internal/grammar", "internal/tokenizer", "testdata"}},
	{"internal/toolcall", []string{"api/reasoning", "internal/lark", "internal/llm"}},
	{"internal/prompt", []string{"api/reasoning", "internal/llm", "internal/native", "internal/weights", "internal/tokenizer"}},
	{"internal/tokenizer", []string{"internal/llm", "internal/native", "internal/weights"}},
	{"internal/pipeline", []string{"api", "internal/llm", "internal/prompt", "internal/tokenizer", "internal/reasoning", "internal/toolcall", "internal/guide", "internal/grammar"}},
	{"internal/guide", []string{"api/reasoning", "internal/llm"}},
	{"internal/grammar", []string{"internal/native"}},
	{"internal/server", []string{"api", "internal/llm", "internal/pipeline", "internal/metrics"}},
	{"internal/metrics", []string{"internal/llm", "internal/pipeline"}},
	{"internal/remote", []string{"internal/llm"}},
	{"internal/dispatch", []string{"internal/llm"}},
	{"internal/engine", []string{"internal/engine", "internal/backend", "internal/model", "internal/llm", "internal/weights"}},
	{"internal/engine/scripted", []string{"internal/engine/bell", "internal/llm"}},
	{"internal/engine/sched", []string{"internal/engine/kv", "internal/llm"}},
	{"internal/engine/kv", []string{}},
	{"internal/engine/draft", []string{"internal/engine/kv"}},
	{"internal/engine/sample", []string{"internal/backend", "internal/llm"}},
	{"internal/model", []string{"internal/model", "internal/backend", "internal/llm", "internal/weights"}},
	{"internal/weights", []string{"internal/weights"}},
	{"internal/backend", []string{"internal/backend", "internal/engine/sample", "internal/llm", "internal/weights"}},
	{"internal/backend/backendtest", []string{"internal/backend", "internal/engine/sample", "internal/llm", "internal/model", "internal/weights", "testdata"}},
	{"internal/backend/cpu", []string{"internal/backend", "internal/cgroup", "internal/engine/sample", "internal/llm", "internal/weights", "kernels/cpu"}},
	{"internal/backend/cuda", []string{"internal/backend", "internal/cuda", "internal/engine/sample", "internal/llm", "internal/model", "internal/weights", "kernels/cuda"}},
	{"internal/cuda", []string{"internal/cuda", "kernels/cuda"}},
	{"internal/cgroup", []string{"internal/cgroup"}},
	{"internal/native", []string{}},
	{"internal/bench", []string{"internal/backend", "internal/bench/plot", "internal/llm", "internal/model", "internal/weights"}},
	{"internal/bench/load", []string{"internal/bench"}},
	{"internal/bench/plot", []string{}},
	{"internal/config", []string{}},
	{"kernels", []string{}},
	{"kernels/cuda", []string{"internal/weights"}},
}

// stdOnly are the packages that import nothing but the standard library beside
// what mayImport grants.
var stdOnly = []string{"api", "internal/llm", "internal/reasoning", "internal/engine/sched", "internal/engine/kv", "internal/engine/draft", "internal/cgroup"}

// pure are the packages that start no goroutine and read no clock.
var pure = []string{
	"api/reasoning", "internal/llm", "internal/reasoning", "internal/toolcall", "internal/prompt",
	"internal/tokenizer", "internal/engine/sched", "internal/engine/kv", "internal/engine/sample", "internal/engine/draft",
}

// readEnvironment are the packages that may read environment variables: the
// command line, and where test data lies.
var readEnvironment = []string{"internal/cli", "internal/config", "internal/cuda/cudatest", "testdata"}

func TestOnlyThePackagesNamedImportWhatIsKeptInOnePlace(t *testing.T) {
	for _, f := range sourceFiles(t) {
		for _, imported := range f.imports {
			for _, rule := range onlyBy {
				if within(imported, rule.imported) && !within(f.pkg, rule.by...) {
					t.Errorf("%s imports %q; only %s may", f.path, imported, strings.Join(rule.by, ", "))
				}
			}
		}
	}
}

func TestImportsGoOneWay(t *testing.T) {
	for _, f := range sourceFiles(t) {
		tree, allowed := "", []string(nil)
		for _, rule := range mayImport {
			if within(f.pkg, rule.tree) && len(rule.tree) > len(tree) {
				tree, allowed = rule.tree, rule.imports
			}
		}
		if tree == "" {
			continue
		}
		for _, imported := range f.imports {
			if p := own(imported); p != "" && p != f.pkg && !within(p, allowed...) {
				t.Errorf("%s imports %s; below %s only these may be imported: %s", f.path, p, tree, strings.Join(allowed, ", "))
			}
		}
	}
}

// beyondStd are the exceptions, a file each.
var beyondStd = map[string]string{
	"internal/reasoning/plugin.go": "github.com/goccy/go-yaml", // parsers are described in YAML
	"api/apitest/apitest.go":       "github.com/goccy/go-yaml", // so is the HTTP interface; for tests
}

func TestSomePackagesImportOnlyTheStandardLibrary(t *testing.T) {
	for _, f := range sourceFiles(t) {
		if !within(f.pkg, stdOnly...) || within(f.pkg, "api/reasond") {
			continue
		}
		for _, imported := range f.imports {
			if own(imported) == "" && !std(imported) && beyondStd[f.path] != imported {
				t.Errorf("%s imports %q; %s keeps to the standard library", f.path, imported, f.pkg)
			}
		}
	}
}

func TestPurePackagesStartNoGoroutineAndReadNoClock(t *testing.T) {
	for _, f := range sourceFiles(t) {
		if !within(f.pkg, pure...) {
			continue
		}
		if slices.Contains(f.imports, "net/http") || slices.Contains(f.imports, "net") {
			t.Errorf("%s uses the network", f.path)
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s starts a goroutine", f.set.Position(g.Pos()))
			}
			for _, clock := range []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"} {
				if selects(n, "time", clock) {
					t.Errorf("%s reads the clock: time.%s", f.set.Position(n.Pos()), clock)
				}
			}
			return true
		})
	}
}

func TestOnlyTheCommandLineReadsTheEnvironment(t *testing.T) {
	for _, f := range sourceFiles(t) {
		if within(f.pkg, readEnvironment...) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			for _, pkg := range []string{"os", "syscall"} {
				for _, name := range []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"} {
					if selects(n, pkg, name) {
						t.Errorf("%s reads the environment: %s.%s", f.set.Position(n.Pos()), pkg, name)
					}
				}
			}
			return true
		})
	}
}

// HTTP ends in internal/server, and clients are only where something is fetched:
// net/http is in several packages, so what they use of it is checked too.
func TestServersAndClientsOfHTTPStayInTheirPackages(t *testing.T) {
	for _, f := range sourceFiles(t) {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			for _, name := range []string{"Server", "NewServeMux", "ListenAndServe", "Serve"} {
				if selects(n, "http", name) && !within(f.pkg, "internal/server") {
					t.Errorf("%s serves HTTP: http.%s", f.set.Position(n.Pos()), name)
				}
			}
			for _, name := range []string{"Client", "Get", "Post", "DefaultClient", "NewRequest", "NewRequestWithContext"} {
				if selects(n, "http", name) && !within(f.pkg, "internal/remote", "internal/weights/hub", "internal/cli", "internal/bench/load") {
					t.Errorf("%s is an HTTP client: http.%s", f.set.Position(n.Pos()), name)
				}
			}
			return true
		})
	}
}

func selects(n ast.Node, pkg, name string) bool {
	s, ok := n.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkg
}

// A newcomer finds each package in docs/architecture.md: by its path, or by its
// last element in the row of the package above it.
func TestTheArchitecturePageNamesEveryPackage(t *testing.T) {
	page, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{} // path → row
	for line := range strings.Lines(string(page)) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ := strings.Cut(rest, "`")
			rows[name] = line
		}
	}
	known := map[string]bool{}
	for _, f := range sourceFiles(t) {
		if known[f.pkg] {
			continue
		}
		known[f.pkg] = true
		if rows[f.pkg] == "" && !strings.Contains(rows[path.Dir(f.pkg)], "`"+path.Base(f.pkg)+"`") {
			t.Errorf("docs/architecture.md does not name %s", f.pkg)
		}
	}
	for name := range rows {
		if _, err := os.Stat("../" + name); err != nil {
			t.Errorf("docs/architecture.md names %s: %v", name, err)
		}
	}
}
