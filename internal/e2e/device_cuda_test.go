//go:build cuda && cgo && linux

package e2e_test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/cuda/cudatest"
)

// withCUDA has start and startEnv run the program as `make build-cuda` builds it.
func withCUDA(t *testing.T) {
	t.Helper()
	plain := binary
	path := filepath.Join(filepath.Dir(plain), "reasond-cuda")
	if _, err := os.Stat(path); err != nil { // the first test builds it
		build := exec.Command("go", "build", "-tags", "cuda", "-o", path, "../../cmd/reasond")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
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

// A fault that ends the GPU's context ends the running stream with an error event,
// without [DONE]. The engine opens the GPU anew, and the next request is answered
// as before.
func TestALostGPUEndsItsStreamsAndIsOpenedAnew(t *testing.T) {
	driver := cudatest.Driver(t)
	withCUDA(t)
	// Within the second answer: each step runs store_kv once a layer, of which there are 6.
	env := []string{"REASOND_CUDA_DRIVER=" + driver, "EMU_MEM=1073741824", "EMU_FAULT=store_kv:130:700"}
	p := startEnv(t, env, "--port", "0", "--max-model-len", "256", "--max-num-seqs", "4", "--device", "cuda")
	const chat = `{"temperature":0,"max_tokens":8,"messages":[{"role":"user","content":"9.11 and 9.8, which is greater?"}]}`
	const long = `{"stream":true,"ignore_eos":true,"max_tokens":60,"messages":[{"role":"user","content":"Count."}]}`
	before := read[struct{ Choices []struct{ Message said } }](t, p.fetch("/v1/chat/completions", chat))
	resp, err := p.post(t.Context(), long)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	text := string(body)
	i := strings.Index(text, `data: {"error"`)
	if resp.StatusCode != 200 || i < 1 || !strings.Contains(text[max(i, 0):], "device_lost") || strings.Contains(text, "[DONE]") || strings.Contains(text, "ILLEGAL") {
		t.Errorf("status %d, the stream is %s", resp.StatusCode, text)
	}
	after := read[struct{ Choices []struct{ Message said } }](t, p.fetch("/v1/chat/completions", chat))
	if !slices.Equal(before.Choices, after.Choices) {
		t.Errorf("before %+v, afterwards %+v", before, after)
	}
	for path, want := range map[string]string{"/readyz": "", "/metrics": "reasond_engine_restarts_total{model=\"tiny-reasoner\"} 1\n"} {
		resp, err := http.Get(p.base + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %v, without %s", path, resp.StatusCode, err, want)
		}
	}
}
