//go:build cuda && cgo && linux

package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/cuda/cudatest"
)

// withCUDA has start and startEnv run the program as `make build-cuda` builds it.
func withCUDA(t *testing.T) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reasond")
	build := exec.Command("go", "build", "-tags", "cuda", "-o", path, "../../cmd/reasond")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	plain := binary
	binary = path
	t.Cleanup(func() { binary = plain })
}

// One binary: on a GPU it answers as on the CPU; without a driver it says so and
// answers all the same, unless a GPU was asked for.
func TestTheCUDABuildServesWithAGPUAndWithoutADriver(t *testing.T) {
	gpu := []string{"REASOND_CUDA_DRIVER=" + cudatest.Driver(t), "EMU_MEM=1073741824"}
	none := []string{"REASOND_CUDA_DRIVER=/nonexistent/libcuda.so"}
	withCUDA(t)
	const chat = `{"temperature":0,"max_tokens":40,"messages":[{"role":"user","content":"9.11 and 9.8, which is greater?"}]}`
	ask := func(p *process) said {
		return read[struct{ Choices []struct{ Message said } }](t, p.fetch("/v1/chat/completions", chat)).Choices[0].Message
	}
	small := []string{"--port", "0", "--max-model-len", "256", "--max-num-seqs", "4"}

	p := startEnv(t, gpu, append(small, "--device", "cuda")...)
	got := ask(p)
	if log := p.stderr.String(); !strings.Contains(log, `"backend":"cuda"`) {
		t.Errorf("it does not run on the GPU:\n%s", log)
	}
	p = startEnv(t, none, small...)
	if want := ask(p); got != want || want.Reasoning == "" {
		t.Errorf("on the GPU %+v, on the CPU %+v", got, want)
	}
	if log := p.stderr.String(); strings.Count(log, "computing on the CPU") != 1 || !strings.Contains(log, `"backend":"cpu"`) {
		t.Errorf("without a driver:\n%s", log)
	}

	failing := exec.Command(binary, "serve", "--port", "0", "--device", "cuda:1")
	failing.Env = append(os.Environ(), none...)
	out, err := failing.CombinedOutput()
	if lines := strings.Split(strings.TrimSpace(string(out)), "\n"); err == nil || !strings.HasPrefix(lines[len(lines)-1], "reasond: --device cuda:1: ") {
		t.Errorf("--device cuda:1 without a driver: %v\n%s", err, out)
	}
}
