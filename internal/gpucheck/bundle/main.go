// Command bundle links the tests of the CUDA packages into gpucheck's test binary,
// so that one file brings all of them to a GPU machine. It writes an overlay for
// `go test -c -overlay`: the test files appear as ordinary files, those of the
// package itself in their folder, those of an external test package in a folder
// "suite" below it, and gpucheck gets a file that lists their tests. Both overlays
// leave the kernels out: the programs of a bundle share one file of them.
//
//	go run ./internal/gpucheck/bundle FOLDER    writes FOLDER/tests.json and FOLDER/program.json
//	go test -c -vet=off -tags cuda -overlay FOLDER/tests.json ./internal/gpucheck
//	go build -tags cuda -overlay FOLDER/program.json ./cmd/reasond
//
// It runs in the repository's root.
package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const module = "github.com/reasond/reasond/"

// tested are the packages whose tests a GPU is to run.
var tested = []string{"kernels/cuda", "internal/backend/cuda"}

// left are tests that stay behind, for they read what a bundle does not have.
var left = map[string]string{
	"TestBrokenKernelsAreCaught":             "compiles kernels for the emulator",
	"TestKernelsAndLaunchersAgreeOnTheBatch": "reads the kernels' sources",
	"TestTinyReasoner":                       "reads the built-in model's files; gpu-check has reasond generate with it",
	"TestWeightsTakeNoMoreThanInTheFile":     "reads the built-in model's files",
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "bundle: name the folder for the overlay")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

// overlay collects the files that appear and the tests in them.
type overlay struct {
	root    string
	replace map[string]string
	imports []string
	suites  []string // lines of the list
}

func write(folder string) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return err
	}
	o := &overlay{root: root, replace: map[string]string{filepath.Join(root, "kernels/cuda/fatbin/kernels.fatbin"): ""}}
	if err := o.save(filepath.Join(folder, "program.json")); err != nil {
		return err
	}
	for i, pkg := range tested {
		if err := o.add(pkg, fmt.Sprintf("p%d", i)); err != nil {
			return err
		}
	}
	list := filepath.Join(folder, "suites.go.txt")
	if err := os.WriteFile(list, []byte(o.list()), 0o644); err != nil {
		return err
	}
	o.replace[filepath.Join(root, "internal/gpucheck/suites_test.go")] = list
	return o.save(filepath.Join(folder, "tests.json"))
}

func (o *overlay) save(file string) error {
	data, err := json.MarshalIndent(map[string]any{"Replace": o.replace}, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// add takes a package's test files. name is what the list calls the package.
func (o *overlay) add(pkg, name string) error {
	files, err := filepath.Glob(filepath.Join(o.root, pkg, "*_test.go"))
	if err != nil {
		return err
	}
	used := map[string]string{} // import path: name
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		path, as := pkg, name
		if strings.HasSuffix(parsed.Name.Name, "_test") {
			path, as = pkg+"/suite", name+"suite"
		}
		to := "suite_" + strings.TrimSuffix(filepath.Base(file), "_test.go") + "_linked.go"
		o.replace[filepath.Join(o.root, path, to)] = file
		for _, test := range tests(parsed) {
			if left[test] != "" {
				continue
			}
			used[path] = as
			o.suites = append(o.suites, fmt.Sprintf("\t\tsuite{%q, %s.%s},\n", strings.ReplaceAll(pkg, "/", ".")+"."+test, as, test))
		}
	}
	for path, as := range used {
		o.imports = append(o.imports, fmt.Sprintf("\t%s %q\n", as, module+path))
	}
	if len(used) == 0 {
		return fmt.Errorf("%s has no tests", pkg)
	}
	return nil
}

// tests are the names of a file's tests.
func tests(f *ast.File) []string {
	var names []string
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") && fn.Name.Name != "TestMain" && len(fn.Type.Params.List) == 1 {
			names = append(names, fn.Name.Name)
		}
	}
	return names
}

// list is the file that gpucheck gets.
func (o *overlay) list() string {
	slices.Sort(o.imports)
	return "//go:build cuda && cgo && linux\n\npackage gpucheck\n\nimport (\n" + strings.Join(o.imports, "") +
		")\n\nfunc init() {\n\tsuites = append(suites,\n" + strings.Join(o.suites, "") + "\t)\n}\n"
}
