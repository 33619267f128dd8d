package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/bench"
	"github.com/reasond/reasond/internal/bench/load"
)

func TestBenchFlagsThatMakeNoSenseAreNamed(t *testing.T) {
	for line, says := range map[string]string{
		"-p 512,x":                                    `--prefill "512,x": not whole numbers`,
		"--batch 0":                                   `--batch "0": 0: must be from 1`,
		"--depth -1":                                  `--depth "-1"`,
		"--threads 0":                                 `--threads "0"`,
		"-p 0 -n 0":                                   "--prefill 0, --decode 0",
		"--within 5":                                  "--within needs --compare",
		"--window 64":                                 "--window needs --perplexity",
		"--perplexity x --depth 4":                    "--depth is not of --perplexity",
		"--perplexity x --batch 4":                    "--batch is not of --perplexity",
		"--compare /nowhere/file":                     "--compare: ",
		"--perplexity /nowhere/text":                  "--perplexity: ",
		"--perplexity x -t 1,2":                       "--threads",
		"--concurrency 4":                             "--concurrency needs --url",
		"--slo ttft=1s":                               "--slo needs --url",
		"--url http://127.0.0.1:1 --depth 4":          "--depth is of a run on a model",
		"--url http://127.0.0.1:1 --slo ttft":         `--slo "ttft"`,
		"--url http://a --stream=false --slo itl=1s":  "--slo itl needs --stream",
		"--url http://a --seed 4":                     "--seed needs --rate",
		"--url http://a --unique --prompts f":         "--unique is of made prompts",
		"--url http://127.0.0.1:1 --rate 0":           `--rate "0"`,
		"--url x":                                     `"x" is no URL`,
		"--url http://127.0.0.1:1":                    "--url: ",
		"--url http://a --seconds 3 --requests 4":     "--seconds and --requests",
		"--url http://a --prompts f --prompt-words 4": "--prompt-words, --prompt-tokens and --prompts",
		"--url http://a --rate 1 --concurrency 1,2":   "--rate takes one --concurrency",
		"--url http://127.0.0.1:1 --prompts /no/file": "--prompts: ",
	} {
		code, out, stderr := invoke(t, "", append([]string{"bench"}, strings.Fields(line)...)...)
		if code == exitOK || out != "" || !strings.Contains(stderr, says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, %q", line, code, stderr)
		}
	}
}

// Variables are every command's: those of a server do not keep a model from being
// measured, nor the other way round.
func TestBenchLetsVariablesOfOthersBe(t *testing.T) {
	getenv := func(name string) (string, bool) {
		v, ok := map[string]string{"REASOND_API_KEY": "k", "REASOND_THREADS": "1", "REASOND_SEED": "4"}[name]
		return v, ok
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("9.8 is greater than 9.11."), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, says := range map[string]string{
		"--device cpu --perplexity " + text:         "",
		"--url http://127.0.0.1:1 --requests 1":     "--url: ",
		"--url http://127.0.0.1:1 --threads 2":      "--threads is of a run on a model",
		"--perplexity " + text + " --api-key other": "--api-key needs --url",
	} {
		var stderr strings.Builder
		code := run(t.Context(), append([]string{"bench"}, strings.Fields(line)...), world{in: strings.NewReader(""), out: io.Discard, err: &stderr, getenv: getenv})
		if (code == exitOK) != (says == "") || !strings.Contains(stderr.String(), says) {
			t.Errorf("%s: exit %d, %q", line, code, stderr.String())
		}
	}
}

// A run's JSON is what a later run compares itself with; one that is worse by more
// than allowed fails and says where.
func TestBenchComparesItselfWithAnEarlierRun(t *testing.T) {
	folder := t.TempDir()
	before, page := filepath.Join(folder, "before.json"), filepath.Join(folder, "page.html")
	flags := []string{"bench", "--device", "cpu", "-t", "1", "-p", "32", "-n", "4", "--batch", "1,2", "-r", "1"}
	code, out, stderr := invoke(t, "", append(flags, "--json")...)
	var first bench.Result
	if err := json.Unmarshal([]byte(out), &first); code != exitOK || stderr != "" || err != nil || len(first.Rows) != 3 || first.Version != Version() {
		t.Fatalf("exit %d, %q, %v, %+v", code, stderr, err, first)
	}
	for i := range first.Rows { // far from what any machine's load could do
		first.Rows[i].Speed *= []float64{1e-6, 1e6, 1e-6}[i]
	}
	data, err := json.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(before, data, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, stderr = invoke(t, "", append(flags, "--compare", before, "--within", "99", "--report", page)...)
	if code != exitError || !strings.Contains(stderr, "decode 4, 1 threads") || strings.Contains(stderr, "× 2") || !strings.Contains(out, "ratio") {
		t.Errorf("exit %d, %q, %q", code, stderr, out)
	}
	if html, err := os.ReadFile(page); err != nil || !strings.Contains(string(html), "tiny-reasoner") || strings.Count(string(html), "<svg") != 3 {
		t.Errorf("the page: %v", err)
	}
	if err := os.WriteFile(before, []byte(`{"schema": 99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr = invoke(t, "", append(flags, "--compare", before)...); code != exitError || !strings.Contains(stderr, "schema 99") {
		t.Errorf("another schema: exit %d, %q", code, stderr)
	}
}

func TestBenchMeasuresPerplexity(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("9.8 is greater than 9.11. ", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{"bench", "--device", "cpu", "--perplexity", text, "--window", "64"}
	code, out, stderr := invoke(t, "", append(flags, "--json")...)
	var r bench.Result
	if err := json.Unmarshal([]byte(out), &r); code != exitOK || err != nil || r.Perplexity == nil || r.Perplexity.Tokens < 100 || !(r.Perplexity.Value > 1) {
		t.Errorf("exit %d, %q, %v, %s", code, stderr, err, out)
	}
	speeds := filepath.Join(t.TempDir(), "speeds.json")
	if err := os.WriteFile(speeds, []byte(`{"schema": 1, "rows": [{"test": "prefill", "tokens": 512, "tokens_per_s": 1}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr = invoke(t, "", append(flags, "--compare", speeds)...); code != exitError || !strings.Contains(stderr, "has none of what was measured") {
		t.Errorf("compared with a run of other things: exit %d, %q", code, stderr)
	}
}

func TestBenchMeasuresAServer(t *testing.T) {
	const answer = `data: {"choices":[{"index":0,"delta":{"reasoning_content":"so"}}]}

data: {"choices":[{"index":0,"delta":{"content":"12"}}]}

data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2}}

data: [DONE]

`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"data":[{"id":"a model"}]}`)
			return
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer srv.Close()
	page := filepath.Join(t.TempDir(), "page.html")
	code, out, stderr := invoke(t, "", "bench", "--url", srv.URL, "-c", "1,3", "--requests", "5", "--slo", "ttft=1m", "--json", "--report", page)
	var r load.Result
	if err := json.Unmarshal([]byte(out), &r); code != exitOK || stderr != "" || err != nil || len(r.Levels) != 2 || r.Model != "a model" {
		t.Fatalf("exit %d, %q, %v, %s", code, stderr, err, out)
	}
	for _, l := range r.Levels {
		if l.OK != 5 || l.PromptTokens != 7 || l.CompletionTokens != 2 || l.Kept != 1 || l.Answer == nil {
			t.Errorf("%+v", l)
		}
	}
	if html, err := os.ReadFile(page); err != nil || !strings.Contains(string(html), "3 clients") {
		t.Errorf("the page: %v", err)
	}
	if code, out, _ = invoke(t, "", "bench", "--url", srv.URL, "--rate", "200", "--requests", "4"); code != exitOK || !strings.Contains(out, "200 requests/s") {
		t.Errorf("exit %d, %s", code, out)
	}
}
