package e2e_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file that is cut or damaged is refused in one line, or, where the damage
// hits nothing that is checked, described. It never crashes the program.
func TestDamagedModelFilesAreRefusedInOneLine(t *testing.T) {
	whole, err := os.ReadFile("../../testdata/models/llama-linear.gguf")
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var damaged [][]byte
	for range 12 {
		damaged = append(damaged, whole[:r.IntN(len(whole))])
	}
	for range 40 {
		b := bytes.Clone(whole)
		for range 1 + r.IntN(4) {
			b[r.IntN(8192)] = byte(r.Uint32()) // the header and the tables
		}
		damaged = append(damaged, b)
	}
	file := filepath.Join(t.TempDir(), "model.gguf")
	for i, data := range damaged {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		oneLineOrFine(t, i, file)
	}
}

func TestDamagedFoldersAreRefusedInOneLine(t *testing.T) {
	folder := t.TempDir()
	const from = "../../testdata/tiny-reasoner/"
	for _, name := range []string{"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors"} {
		data, err := os.ReadFile(from + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, damage := range []struct{ file, from, to string }{
		{"config.json", `"hidden_size"`, `"hidden_size_"`},
		{"config.json", `"num_attention_heads": 8`, `"num_attention_heads": 0`},
		{"config.json", `"num_hidden_layers": 6`, `"num_hidden_layers": 1000000000`},
		{"config.json", `"Qwen3ForCausalLM"`, `"NobodyForCausalLM"`},
		{"config.json", `{`, `[`},
		{"tokenizer.json", `"BPE"`, `"XPE"`},
		{"tokenizer.json", `{`, ``},
		{"chat_template.jinja", `{%- set`, `{%- sat`},
		{"model.safetensors", `"dtype":"BF16"`, `"dtype":"BF17"`},
		{"model.safetensors", `"data_offsets":[0,`, `"data_offsets":[9,`},
		{"model.safetensors", ``, "\xff\xff\xff\xff\xff\xff\xff\x7f"},
	} {
		name := filepath.Join(folder, damage.file)
		good, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Replace(good, []byte(damage.from), []byte(damage.to), 1)
		if bytes.Equal(good, bad) {
			t.Errorf("%d: %s has no %s: nothing is damaged", i, damage.file, damage.from)
			continue
		}
		if err := os.WriteFile(name, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		out, stderr, code := reasond(t, "Hi\n", "chat", "--max-tokens", "1", folder)
		if code != 1 || out != "" || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "reasond: ") {
			t.Errorf("%s, %q for %q: exit %d, out %q, err %q", damage.file, damage.to, damage.from, code, out, stderr)
		} else {
			t.Logf("%s", stderr)
		}
		if err := os.WriteFile(name, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func oneLineOrFine(t *testing.T, i int, file string) {
	t.Helper()
	_, stderr, code := reasond(t, "Hi\n", "chat", "--max-tokens", "1", file)
	refused := code == 1 && strings.Count(stderr, "\n") == 1 && strings.HasPrefix(stderr, "reasond: ")
	if !refused && code != 0 {
		t.Errorf("case %d: exit %d: %s", i, code, stderr)
	}
}
