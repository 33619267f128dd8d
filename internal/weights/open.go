package weights

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/reasond/reasond/internal/weights/gguf"
)

// maxJSON bounds a configuration or index file; the largest published index is
// about 10 MB.
const maxJSON = 64 << 20

// Open maps a model: a folder with config.json and safetensors files, a .gguf
// file, or a folder that holds just one .gguf file. Errors are one line that
// names the file.
func Open(name string) (*Model, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if info.IsDir() {
		return openFolder(os.DirFS(name), name, func(file string) (mapping, error) {
			return mapFile(filepath.Join(name, file))
		})
	}
	if strings.HasSuffix(name, ".safetensors") {
		return nil, fmt.Errorf("model: %s: name the folder, its config.json is needed too", name)
	}
	return openGGUF(name, mapFile)
}

// OpenFS opens a folder of any file system, such as an embedded one; files are
// read into memory. name is used in errors and as Model.Path.
func OpenFS(fsys fs.FS, name string) (*Model, error) {
	return openFolder(fsys, name, func(file string) (mapping, error) {
		data, err := fs.ReadFile(fsys, file)
		return mapping{data: data}, err
	})
}

// opener gives the bytes of a file of the folder.
type opener func(file string) (mapping, error)

func openFolder(fsys fs.FS, name string, open opener) (*Model, error) {
	if file, ok := onlyGGUF(fsys); ok {
		return openGGUF(filepath.Join(name, file), func(string) (mapping, error) { return open(file) })
	}
	m := &Model{Path: name, Format: FormatSafetensors, FS: fsys, tensors: map[string]*entry{}}
	var err error
	if m.Config, err = readObject(fsys, "config.json"); err != nil {
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	if m.Generation, err = readObject(fsys, "generation_config.json"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	err = m.loadSafetensors(fsys, open)
	if err == nil {
		err = m.canonicalise()
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	return m, nil
}

// onlyGGUF is the one .gguf file of a folder without config.json.
func onlyGGUF(fsys fs.FS) (string, bool) {
	if _, err := fs.Stat(fsys, "config.json"); err == nil {
		return "", false
	}
	found, _ := fs.Glob(fsys, "*.gguf")
	if len(found) != 1 {
		return "", false
	}
	return found[0], true
}

func openGGUF(name string, open opener) (*Model, error) {
	mp, err := open(name)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	m := &Model{Path: name, Format: FormatGGUF, tensors: map[string]*entry{}, maps: []mapping{mp}}
	if err := m.loadGGUF(mp.data); err != nil {
		m.Close()
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	return m, nil
}

func (m *Model) loadGGUF(data []byte) error {
	file, err := gguf.Parse(data)
	if err != nil {
		return err
	}
	m.Meta = file
	if m.Config, err = ggufConfig(file); err != nil {
		return err
	}
	if m.Generation, err = ggufGeneration(file); err != nil {
		return err
	}
	if err := m.mapGGUF(file); err != nil {
		return err
	}
	return m.splitStacks()
}

// readObject reads a JSON object of the folder, at most maxJSON long.
func readObject(fsys fs.FS, name string) (json.RawMessage, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxJSON+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxJSON {
		return nil, fmt.Errorf("%s is over %d bytes", name, maxJSON)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if object == nil {
		return nil, fmt.Errorf("%s is not a JSON object", name)
	}
	return data, nil
}

// plainName reports whether an index's file name is one of this very folder.
func plainName(name string) bool {
	return fs.ValidPath(name) && path.Base(name) == name && name != "." &&
		!strings.ContainsAny(name, "\\:\x00") && strings.HasSuffix(name, ".safetensors")
}
