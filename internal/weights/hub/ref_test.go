package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	for s, want := range map[string]Ref{
		"Qwen/Qwen3-0.6B":                    {"Qwen/Qwen3-0.6B", "main", ""},
		"Qwen/Qwen3-0.6B@v1.0":               {"Qwen/Qwen3-0.6B", "v1.0", ""},
		"org/name@refs/pr/1":                 {"org/name", "refs/pr/1", ""},
		"org/name-GGUF:Q4_K_M":               {"org/name-GGUF", "main", "Q4_K_M"},
		"org/name-GGUF@main:sub/x.Q8_0.gguf": {"org/name-GGUF", "main", "sub/x.Q8_0.gguf"},
	} {
		got, err := ParseRef(s)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
		if back, err := ParseRef(got.String()); err != nil || back != got {
			t.Errorf("%s: %s is read as %+v, %v", s, got, back, err)
		}
	}
	for _, s := range []string{"", "name", "a/b/c", "/a/b", "a/", "/b", "a/..", "../b", "a/b..c", "a/b--c", "a/.b", "a/b.git", "a/b@", "a/b@..", "a/b@x/../y", "a/b@/x",
		"a/b@x//y", "a/b:", "a/b:../x", "a/b:/x", "a/b:x y", "a b/c", "a/b?c", "a/b#c", "a/b%2f", "a/b\nc", "a\\b/c", "ä/b", "a/b:c:d", "a/" + strings.Repeat("b", 97)} {
		if got, err := ParseRef(s); err == nil {
			t.Errorf("%q is read as %+v", s, got)
		}
	}
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.MkdirAll(filepath.Join("org", "local"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("m.gguf", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]Target{
		dir:         {Path: dir},
		"m.gguf":    {Path: "m.gguf"},
		"./m.gguf":  {Path: "./m.gguf"},
		"org/local": {Path: "org/local"},
		"org/other": {Ref: Ref{"org/other", "main", ""}},
	} {
		if got, err := Resolve(arg); err != nil || got != want {
			t.Errorf("%s: %+v, %v", arg, got, err)
		}
	}
	for arg, want := range map[string]string{
		"":              "empty",
		"./org/other":   "no such folder or file",
		"/none/at/all":  "no such folder or file",
		"org/x.gguf":    "no such folder or file",
		"x.gguf":        "no such folder or file",
		"~/models/x":    "no such folder or file",
		`C:\models\x`:   "no such folder or file",
		"org/other/":    "no such folder or file",
		"qwen3":         "neither a folder, a .gguf file nor a hub id",
		"a/b/c":         "neither a folder, a .gguf file nor a hub id",
		"two words/x y": "neither",
	} {
		if _, err := Resolve(arg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", arg, err)
		}
	}
}

func TestChoose(t *testing.T) {
	q := func(names ...string) []string { return names }
	for _, c := range []struct {
		names      []string
		pick, want string // want "": an error
	}{
		{q("m.gguf"), "", "m.gguf"},
		{q("m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m-Q8_0.gguf"), "", "m-Q4_K_M.gguf"},
		{q("m-Q4_K_M.gguf", "m-Q4_K_S.gguf"), "Q4_K", ""},
		{q("m.Q4_K_M.gguf", "m.Q8_0.gguf"), "q8_0", "m.Q8_0.gguf"},
		{q("a-Q8_0.gguf", "b-Q8_0.gguf"), "", ""},
		{q("m-IQ2_XS.gguf", "m-IQ1_S.gguf"), "", ""},
		{q("mmproj-F16.gguf", "m-F16.gguf"), "F16", "m-F16.gguf"},
		{q("m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf"), "Q8_0", ""},
		{q("config.json", "pytorch_model.bin"), "", ""},
		{q("config.json", "model.safetensors", "m-Q8_0.gguf"), "", "folder"},
		{q("config.json", "model.safetensors", "m-Q8_0.gguf"), "Q8_0", "m-Q8_0.gguf"},
		{q("model.safetensors"), "", ""},
	} {
		got, err := choose(c.names, c.pick)
		switch {
		case c.want == "" && err == nil:
			t.Errorf("%v %q: %+v", c.names, c.pick, got)
		case c.want == "folder" && (err != nil || got.open != "" || len(got.files) != 2):
			t.Errorf("%v %q: %+v, %v", c.names, c.pick, got, err)
		case c.want != "" && c.want != "folder" && (err != nil || got.open != c.want):
			t.Errorf("%v %q: %+v, %v", c.names, c.pick, got, err)
		}
	}
}

func TestFromEnv(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(key string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == key {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	for want, getenv := range map[string]func(string) string{
		"/home/u/.cache/huggingface/hub": env(),
		"/c/huggingface/hub":             env("XDG_CACHE_HOME", "/c"),
		"/h/hub":                         env("HF_HOME", "/h", "XDG_CACHE_HOME", "/c"),
		"/home/u/big/hub":                env("HF_HOME", "~/big"),
		"/x":                             env("HF_HUB_CACHE", "/x", "HF_HOME", "/h"),
	} {
		if got := FromEnv(getenv, "/home/u").CacheDir; got != filepath.FromSlash(want) {
			t.Errorf("cache %s, want %s", got, want)
		}
	}
	c := FromEnv(env("HF_ENDPOINT", "https://mirror.example", "HF_TOKEN", " hf_x\n", "HF_HUB_OFFLINE", "true"), "")
	if c.Endpoint != "https://mirror.example" || c.Token != "hf_x" || !c.Offline {
		t.Errorf("%+v", c)
	}
	if FromEnv(env("HF_HUB_OFFLINE", "0"), "").Offline {
		t.Error("0 is not offline")
	}
}

func TestABadEndpointIsRefused(t *testing.T) {
	for _, endpoint := range []string{"ftp://x", "huggingface.co", "https://", "https://u:p@x", "https://x?y", "://"} {
		if _, err := (Config{Endpoint: endpoint, CacheDir: t.TempDir()}).Get(t.Context(), ref); err == nil || !strings.Contains(err.Error(), "endpoint") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}
