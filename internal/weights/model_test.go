package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	tinyreasoner "github.com/reasond/reasond/testdata/tiny-reasoner"
)

const models = "../../testdata/models/"

func open(t *testing.T, path string) *Model {
	t.Helper()
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// sameTensors says that both models hold the same names, shapes and bytes.
func sameTensors(t *testing.T, a, b *Model) {
	t.Helper()
	if x, y := strings.Join(a.Names(), " "), strings.Join(b.Names(), " "); x != y {
		t.Fatalf("names differ:\n%s\n%s", x, y)
	}
	if a.TotalBytes() != b.TotalBytes() {
		t.Errorf("%d and %d bytes", a.TotalBytes(), b.TotalBytes())
	}
	for _, name := range a.Names() {
		x, _ := a.Tensor(name)
		y, _ := b.Tensor(name)
		if x.Name != name || y.Name != name || x.DType != y.DType || !bytes.Equal(x.Data, y.Data) || len(x.Shape) != len(y.Shape) {
			t.Errorf("%s differs", name)
			continue
		}
		for i := range x.Shape {
			if x.Shape[i] != y.Shape[i] {
				t.Errorf("%s: shape %v and %v", name, x.Shape, y.Shape)
			}
		}
	}
}

func TestMappedAndEmbeddedFoldersAreTheSame(t *testing.T) {
	mapped := open(t, "../../testdata/tiny-reasoner")
	embedded, err := OpenFS(tinyreasoner.FS, "tiny-reasoner")
	if err != nil {
		t.Fatal(err)
	}
	sameTensors(t, mapped, embedded)
	if !bytes.Equal(mapped.Config, embedded.Config) || mapped.Generation == nil || mapped.Format != FormatSafetensors {
		t.Error("the configuration differs")
	}
	if _, err := fs.Stat(mapped.FS, "tokenizer.json"); err != nil {
		t.Error(err)
	}
}

func TestShardedFoldersHoldEveryTensorOfTheIndex(t *testing.T) {
	for _, name := range []string{"qwen2", "qwen3"} {
		m := open(t, models+name)
		raw, err := os.ReadFile(models + name + "/model.safetensors.index.json")
		if err != nil {
			t.Fatal(err)
		}
		var index struct {
			Metadata struct {
				Size int64 `json:"total_size"`
			}
			WeightMap map[string]string `json:"weight_map"`
		}
		if err := json.Unmarshal(raw, &index); err != nil {
			t.Fatal(err)
		}
		if len(m.Names()) != len(index.WeightMap) || m.TotalBytes() != index.Metadata.Size {
			t.Errorf("%s: %d tensors of %d bytes, the index says %d of %d", name, len(m.Names()), m.TotalBytes(), len(index.WeightMap), index.Metadata.Size)
		}
	}
}

// llama-linear.gguf was laid out by the gguf package from llama-linear: names,
// shapes, row order of Q and K, and configuration must come out as the folder's.
func TestGGUFComesOutAsItsFolder(t *testing.T) {
	folder, file := open(t, models+"llama-linear"), open(t, models+"llama-linear.gguf")
	if file.Format != FormatGGUF || file.Meta == nil || file.FS != nil {
		t.Error("not opened as GGUF")
	}
	sameTensors(t, folder, file)
	var want, got map[string]any
	if json.Unmarshal(folder.Config, &want) != nil || json.Unmarshal(file.Config, &got) != nil {
		t.Fatal("config is no JSON")
	}
	for _, key := range []string{"model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
		"intermediate_size", "vocab_size", "rms_norm_eps", "max_position_embeddings", "tie_word_embeddings", "attention_bias", "mlp_bias", "hidden_act", "bos_token_id"} {
		if want[key] != got[key] {
			t.Errorf("%s is %v, config.json says %v", key, got[key], want[key])
		}
	}
	rope := want["rope_parameters"].(map[string]any)
	scaling, _ := got["rope_scaling"].(map[string]any)
	if got["rope_theta"] != rope["rope_theta"] || scaling["rope_type"] != "linear" || scaling["factor"] != rope["factor"] {
		t.Errorf("rope: %v %v, config.json says %v", got["rope_theta"], scaling, rope)
	}
	if ids, _ := json.Marshal(got["eos_token_id"]); string(ids) != "[2,5]" {
		t.Errorf("end tokens %s, want eos and eot", ids)
	}
}

// Mixtures of experts as the gguf package lays them out must come out as their
// folders: names, shapes and numbers, and MXFP4 blocks to the byte.
func TestGGUFExpertsComeOutAsTheirFolder(t *testing.T) {
	for _, name := range []string{"qwen3-moe", "gpt-oss"} {
		folder, file := open(t, models+name), open(t, models+name+".gguf")
		if a, b := strings.Join(folder.Names(), " "), strings.Join(file.Names(), " "); a != b {
			t.Fatalf("%s: names differ:\n%s\n%s", name, a, b)
		}
		for _, tensor := range folder.Names() {
			a, _ := folder.Tensor(tensor)
			b, _ := file.Tensor(tensor)
			if !slices.Equal(a.Shape, b.Shape) || !slices.Equal(a.Float32(), b.Float32()) || a.DType == MXFP4 && !bytes.Equal(a.Data, b.Data) {
				t.Errorf("%s: %s differs", name, tensor)
			}
		}
		var want, got map[string]any
		if json.Unmarshal(folder.Config, &want) != nil || json.Unmarshal(file.Config, &got) != nil {
			t.Fatal("config is no JSON")
		}
		for _, key := range []string{"architectures", "num_local_experts", "num_experts_per_tok", "head_dim", "intermediate_size", "sliding_window"} {
			if a, b := want[key], got[key]; !reflect.DeepEqual(a, b) {
				t.Errorf("%s: %s is %v, config.json says %v", name, key, b, a)
			}
		}
	}
}

func TestReleaseChangesNoByte(t *testing.T) {
	m := open(t, "../../testdata/tiny-reasoner")
	for _, name := range m.Names() {
		tensor, _ := m.Tensor(name)
		before := bytes.Clone(tensor.Data)
		m.Release(tensor)
		if !bytes.Equal(tensor.Data, before) {
			t.Errorf("%s changed", name)
		}
	}
	m.Release(Tensor{})
}

func TestAFolderWithOneGGUFIsThatFile(t *testing.T) {
	data, err := os.ReadFile(models + "llama-linear.gguf")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.gguf"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	sameTensors(t, open(t, dir), open(t, models+"llama-linear.gguf"))
	m, err := OpenFS(os.DirFS(dir), "embedded")
	if err != nil {
		t.Fatal(err)
	}
	sameTensors(t, m, open(t, models+"llama-linear.gguf"))
}

// safetensor is a file that holds one F32 scalar row under each name.
func safetensor(names ...string) []byte {
	header := map[string]any{}
	for i, name := range names {
		header[name] = map[string]any{"dtype": "F32", "shape": []int{1}, "data_offsets": []int{4 * i, 4*i + 4}}
	}
	h, _ := json.Marshal(header)
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(h)))
	return append(append(b, h...), make([]byte, 4*len(names))...)
}

func TestBadFoldersAreRefusedInOneLine(t *testing.T) {
	type files map[string]string
	index := func(m string) string { return `{"weight_map":` + m + `}` }
	for name, c := range map[string]struct {
		files files
		want  string
	}{
		"no config":            {files{"model.safetensors": string(safetensor("a"))}, "config.json"},
		"config is an array":   {files{"config.json": "[]"}, "config.json"},
		"config is null":       {files{"config.json": "null"}, "not a JSON object"},
		"generation is cut":    {files{"config.json": "{}", "generation_config.json": "{"}, "generation_config.json"},
		"no weights":           {files{"config.json": "{}"}, "model.safetensors"},
		"empty weights":        {files{"config.json": "{}", "model.safetensors": ""}, "model.safetensors: safetensors: 0 bytes"},
		"corrupt weights":      {files{"config.json": "{}", "model.safetensors": "\xff\xff\xff\xff\xff\xff\xff\xff{}"}, "model.safetensors: safetensors: a header"},
		"index leaves":         {files{"config.json": "{}", indexFile: index(`{"a":"../secret.safetensors"}`)}, `"../secret.safetensors"`},
		"index is absolute":    {files{"config.json": "{}", indexFile: index(`{"a":"/etc/x.safetensors"}`)}, `"/etc/x.safetensors"`},
		"index goes down":      {files{"config.json": "{}", indexFile: index(`{"a":"sub/x.safetensors"}`)}, `tensor "a"`},
		"index, other file":    {files{"config.json": "{}", indexFile: index(`{"a":"config.json"}`)}, `"config.json"`},
		"index, backslash":     {files{"config.json": "{}", indexFile: index(`{"a":"..\\x.safetensors"}`)}, `tensor "a"`},
		"index, NUL":           {files{"config.json": "{}", indexFile: index(`{"a":"x\u0000.safetensors"}`)}, `tensor "a"`},
		"index is empty":       {files{"config.json": "{}", indexFile: index(`{}`)}, "weight_map is empty"},
		"index of numbers":     {files{"config.json": "{}", indexFile: index(`{"a":1}`)}, indexFile},
		"index, missing file":  {files{"config.json": "{}", indexFile: index(`{"a":"x.safetensors"}`)}, "x.safetensors"},
		"index, missing tenor": {files{"config.json": "{}", indexFile: index(`{"b":"x.safetensors"}`), "x.safetensors": string(safetensor("a"))}, `x.safetensors: tensor "b" is missing`},
		"corrupt GGUF":         {files{"m.gguf": "GGUF\x03\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"}, "m.gguf: gguf:"},
	} {
		fsys := fstest.MapFS{}
		for file, data := range c.files {
			fsys[file] = &fstest.MapFile{Data: []byte(data)}
		}
		_, err := OpenFS(fsys, "folder")
		switch {
		case err == nil:
			t.Errorf("%s: accepted", name)
		case !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "folder") || strings.ContainsAny(err.Error(), "\n\r"):
			t.Errorf("%s: %q does not name the folder and %q in one line", name, err, c.want)
		}
	}
}

func TestBadPathsAreRefusedInOneLine(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.gguf")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"no/such/model": "no such file",
		empty:           "not a GGUF file",
		"../../testdata/tiny-reasoner/model.safetensors": "name the folder",
		"../../testdata/tiny-reasoner/config.json":       "not a GGUF file",
		t.TempDir(): "config.json",
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestEveryModelOfTheTestdataOpens(t *testing.T) {
	configs, err := filepath.Glob(models + "*/golden.json")
	if err != nil || len(configs) < 6 {
		t.Fatalf("found %v, %v", configs, err)
	}
	for _, config := range configs {
		m := open(t, filepath.Dir(config))
		for _, name := range m.Names() {
			tensor, ok := m.Tensor(name)
			if !ok || len(tensor.Data) == 0 || len(tensor.Float32()) != tensor.Elements() {
				t.Errorf("%s: %s holds %d bytes for %v", m.Path, name, len(tensor.Data), tensor.Shape)
			}
		}
	}
}
