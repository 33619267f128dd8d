//go:build cuda && cgo && linux

package gpucheck

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/bench"
	driver "github.com/reasond/reasond/internal/cuda"
	"github.com/reasond/reasond/internal/cuda/cudatest"
)

// suite is a test of another package, linked in by bundle.
type suite struct {
	name string
	run  func(*testing.T)
}

var suites []suite

// TestSuites runs what bundle has linked in.
func TestSuites(t *testing.T) {
	if len(suites) == 0 {
		t.Skip("no suites are linked in: `make gpu-bundle` does")
	}
	for _, s := range suites {
		start, outcome := time.Now(), "" // stays so where -test.run leaves the suite out
		t.Run(s.name, func(t *testing.T) {
			defer func() {
				switch {
				case t.Failed():
					outcome = "FAILED"
				case t.Skipped():
					outcome = "skipped"
				default:
					outcome = "passed"
				}
			}()
			s.run(t)
		})
		// gpu-check counts these lines, also when its time is over before the end.
		if outcome != "" {
			fmt.Printf("suite %s %s %.1fs\n", s.name, outcome, time.Since(start).Seconds())
		}
	}
}

// TestBandwidth, TestPrefill and TestServing measure; GPUCHECK_OUT is the folder
// where their tables go as Markdown and JSON.
func TestBandwidth(t *testing.T) { measure(t, "1-bandwidth", (*Rig).Bandwidth) }

func TestPrefill(t *testing.T) { measure(t, "2-prefill", (*Rig).Prefill) }

func TestServing(t *testing.T) {
	measure(t, "3-serving", func(r *Rig) (*bench.Table, error) {
		table, all, err := r.Serving()
		save(t, "3-serving.json", func() ([]byte, error) { return json.MarshalIndent(all, "", "  ") })
		return table, err
	})
}

var said sync.Once

func measure(t *testing.T, name string, f func(*Rig) (*bench.Table, error)) {
	if err := driver.Open(cudatest.Driver(t)); err != nil {
		t.Fatal(err)
	}
	r, err := NewRig(os.Getenv("REASOND_CUBLASLT"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	said.Do(func() { save(t, "machine.txt", func() ([]byte, error) { return []byte(r.Machine() + "\n"), nil }) })
	table, err := f(r)
	if table != nil {
		t.Log("\n" + table.Markdown())
		save(t, name+".md", func() ([]byte, error) { return []byte(table.Markdown()), nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Rows) == 0 {
		t.Error("nothing was measured")
	}
}

func save(t *testing.T, name string, content func() ([]byte, error)) {
	folder := os.Getenv("GPUCHECK_OUT")
	if folder == "" {
		return
	}
	data, err := content()
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name), data, 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}
