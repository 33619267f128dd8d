package cli

import (
	"strings"
	"testing"
)

func TestRanksNeedGPUs(t *testing.T) {
	for args, want := range map[string]string{
		"serve --port 0 --tp 8":               "--tensor-parallel-size 8: 8 GPUs are needed (",
		"serve --port 0 --tp 2 --dp 4":        "--tensor-parallel-size 2: 8 GPUs are needed (",
		"generate x --tp 2 --device cpu":      "--tensor-parallel-size 2: 2 GPUs are needed (--device cpu)",
		"generate x --tp 2 --dtype float32":   "--tensor-parallel-size 2: 2 GPUs are needed (float32 is computed on the CPU)",
		"serve --upstream http://x --dp 2":    "--tensor-parallel-size and --data-parallel-size are for models that run here",
		"generate x --device cuda --tp 2":     "--device cuda:0: ",
		"generate x --tp 3 --cpu-ranks":       "--tensor-parallel-size 3: num_attention_heads 8 does not divide among 3 ranks",
		"generate x --data-parallel-size 65":  "must be from 1 to 64",
		"generate x --tensor-parallel-size 0": "must be from 1 to 64",
	} {
		code, out, stderr := invoke(t, "", append(strings.Fields(args), "--cuda-driver", noDriver.Driver)...)
		if code == exitOK || out != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, %q, %q", args, code, out, stderr)
		}
	}
}

func TestSeveralEnginesAndRanksWriteTheSame(t *testing.T) {
	args := []string{"generate", "--chat", "--device", "cpu", "--dtype", "float32", "--temperature", "0", "--reasoning", "show", "2+3=?"}
	code, want, stderr := invoke(t, "", args...)
	if code != exitOK || want == "" {
		t.Fatalf("exit %d, %q, %q", code, want, stderr)
	}
	for _, more := range []string{"--dp 2", "--tp 2 --cpu-ranks", "--dp 2 --tp 2 --cpu-ranks --threads 4"} {
		if code, out, stderr := invoke(t, "", append(args, strings.Fields(more)...)...); code != exitOK || out != want {
			t.Errorf("%s: exit %d, %q, %q, want %q", more, code, out, stderr, want)
		}
	}
}
