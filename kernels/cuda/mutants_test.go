//go:build cuda && cgo && linux

package cuda_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is a kernel broken on purpose: old becomes new in one file.
type mutant struct {
	name     string
	kernel   string // the .cu file that is compiled
	file     string // the file that is changed: kernel or what it includes
	old, new string
	test     string // the test that must fail
}

var mutants = []mutant{
	{"a missing block barrier", "latent_attention.cu", "latent_attention.cu",
		"__syncthreads(); // the weights of all tokens are there", "", "TestLatentAttention"},
	{"a missing barrier before memory is used anew", "attention_decode.cu", "attention_decode.cu",
		"__syncthreads(); // the rings are free", "", "TestAttention"},
	{"a missing barrier in a sum", "rmsnorm.cu", "common.cuh",
		"if (lane == 0) partial[warp] = v;\n\t__syncthreads();\n\tv = warp_sum", "if (lane == 0) partial[warp] = v;\n\tv = warp_sum", "TestRMSNorm"},
	{"a wrong causal mask", "attention_prefill.cu", "attention.cuh",
		"v.hi[i] = min(it.to, pos + 1);", "v.hi[i] = min(it.to, pos + 2);", "TestAttention"},
	{"a wrong window", "attention_decode.cu", "attention.cuh",
		"max(0, pos + 1 - window)", "max(0, pos - window)", "TestAttention"},
	{"a page too far", "attention_decode.cu", "attention_decode.cu",
		"pages[it.table + token_of(i) / PAGE]", "pages[it.table + (token_of(i) + SLICE) / PAGE]", "TestAttention"},
	{"a store one token off", "store_kv.cu", "store_kv.cu",
		"SEQ_TABLE] + at / PAGE]", "SEQ_TABLE] + (at + 1) / PAGE]", "TestStoreKV"},
	{"a missing wait for keys", "attention_decode.cu", "attention_decode.cu",
		"cp_async_wait<STAGES - 1>();", "cp_async_wait<STAGES>();", "TestAttention"},
	{"a missing wait for values", "attention_prefill.cu", "attention_prefill.cu",
		"cp_async_wait<2>();\n\t\t__syncthreads();\n#pragma", "cp_async_wait<3>();\n\t\t__syncthreads();\n#pragma", "TestAttention"},
	{"a read of slots that nobody wrote", "attention_prefill.cu", "attention_prefill.cu",
		"bool valid = first + token >= lo && first + token < hi;", "bool valid = true;", "TestAttention"},
	{"padding rows that are not left out", "rmsnorm.cu", "rmsnorm.cu",
		"if (i >= hdr[list ? HEADER_LOGITS : HEADER_ROWS]) return;", "", "TestRMSNorm"},
	{"input overwritten while others read it", "linear_q8.cu", "linear.cuh",
		"__syncthreads(); // the chunk is read", "", "TestLinearIsTheProductInEveryFormat"},
	{"a missing wait for a tile", "gemm.cu", "gemm.cu",
		"cp_async_wait<stages - 2>();", "cp_async_wait<stages - 1>();", "TestGemmIsTheProduct"},
	{"a missing barrier between stages", "gemm.cu", "gemm.cu",
		"__syncthreads(); // stage s is here, and everyone is done with stage s-1", "", "TestGemmIsTheProduct"},
	{"experts counted before all are there", "sort_pairs.cu", "sort_pairs.cu",
		"atomicAdd(&next[ids[i]], 1);\n\t__syncthreads();", "atomicAdd(&next[ids[i]], 1);", "TestExpertsAreTheWeightedSumOfTheChosen"},
}

// Each mutant, compiled as `make emu` compiles kernels, must make its test fail in
// one of the thread orders. A kernel compiled so without a change must not.
func TestBrokenKernelsAreCaught(t *testing.T) {
	if os.Getenv("REASOND_CUDA_DRIVER") != "" && os.Getenv("REASOND_MUTANTS") == "" {
		t.Skip("mutants are compiled for the emulated driver")
	}
	openDevice(t)
	built := libraries(t)
	t.Run("none is broken", func(t *testing.T) {
		m := mutant{kernel: "attention_decode.cu", file: "attention_decode.cu", test: "TestAttention"}
		if out, failed := m.run(t, m.build(t, built), "reverse"); failed {
			t.Fatalf("a kernel compiled anew, without a change, fails:\n%s", out)
		}
	})
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			lib := m.build(t, built)
			for _, order := range []string{"reverse", "forward", "seed:1"} {
				if _, failed := m.run(t, lib, order); failed {
					return
				}
			}
			t.Errorf("%s: nobody sees that %q is %q", m.file, m.old, m.new)
		})
	}
}

// libraries is the folder of the emulated driver.
func libraries(t *testing.T) string {
	dir := "../emu/lib"
	if path := os.Getenv("REASOND_CUDA_DRIVER"); path != "" {
		dir = filepath.Dir(path)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// build compiles the mutant into a folder of its own, with the other kernels as
// they are, and gives the folder.
func (m mutant) build(t *testing.T, built string) string {
	t.Helper()
	dir := t.TempDir()
	source, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), m.old); m.old != "" && n != 1 {
		t.Fatalf("%s has %q %d times", m.file, m.old, n)
	}
	text := strings.Replace(string(source), m.old, m.new, 1)
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	sources, _ := filepath.Glob("*.cuh")
	for _, name := range append(sources, m.kernel) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		put(name, string(b))
	}
	put(m.file, text)
	for _, lib := range []string{"libemu.so", "libfakecuda.so"} {
		b, err := os.ReadFile(filepath.Join(built, lib))
		if err != nil {
			t.Fatal(err)
		}
		put(lib, string(b))
	}
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	compiler := os.Getenv("CXX")
	if compiler == "" {
		compiler = "g++"
	}
	args := strings.Fields("-std=c++17 -O1 -fPIC -shared -ffp-contract=off -fno-strict-aliasing -fno-math-errno -fno-gnu-unique -w")
	args = append(args, "-I", here, "-o", filepath.Join(dir, "libkernels_emu.so"), "-x", "c++", filepath.Join(dir, m.kernel), "-x", "none")
	all, _ := filepath.Glob("*.cu")
	for _, kernel := range all {
		if kernel != m.kernel {
			args = append(args, filepath.Join(built, "obj", kernel+".o"))
		}
	}
	args = append(args, "-L"+dir, "-lemu", "-Wl,-rpath,$ORIGIN")
	if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", compiler, err, out)
	}
	return dir
}

// run runs the mutant's test in a process of its own.
func (m mutant) run(t *testing.T, lib, order string) (output string, failed bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^"+m.test+"$")
	cmd.Env = append(os.Environ(), "REASOND_CUDA_DRIVER="+filepath.Join(lib, "libfakecuda.so"), "EMU_ORDER="+order)
	out, err := cmd.CombinedOutput()
	if err == nil && (!strings.Contains(string(out), "PASS") || strings.Contains(string(out), "no tests to run")) {
		t.Fatalf("%s did not run:\n%s", m.test, out)
	}
	return string(out), err != nil
}
