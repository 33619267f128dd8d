package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/reasond/reasond/internal/weights/safetensors"
)

const (
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
	maxShards  = 4096
)

// loadSafetensors enters the tensors of model.safetensors, or of the files
// that the index names. With an index each tensor must be in the very file it
// is said to be in, and the files' other tensors are not entered.
func (m *Model) loadSafetensors(fsys fs.FS, open opener) error {
	raw, err := readObject(fsys, indexFile)
	if errors.Is(err, fs.ErrNotExist) {
		return m.loadShard(open, singleFile, nil)
	}
	if err != nil {
		return err
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return fmt.Errorf("%s: %w", indexFile, err)
	}
	if len(index.WeightMap) == 0 {
		return fmt.Errorf("%s: weight_map is empty", indexFile)
	}
	shards := map[string][]string{}
	for tensor, file := range index.WeightMap {
		if !plainName(file) {
			return fmt.Errorf("%s: tensor %.80q is in %.80q, not a safetensors file of this folder", indexFile, tensor, file)
		}
		shards[file] = append(shards[file], tensor)
	}
	if len(shards) > maxShards {
		return fmt.Errorf("%s: %d files, at most %d are read", indexFile, len(shards), maxShards)
	}
	files := make([]string, 0, len(shards))
	for file := range shards {
		files = append(files, file)
	}
	slices.Sort(files)
	for _, file := range files {
		slices.Sort(shards[file])
		if err := m.loadShard(open, file, shards[file]); err != nil {
			return err
		}
	}
	return nil
}

// loadShard maps one file and enters the wanted tensors, all where wanted is nil.
func (m *Model) loadShard(open opener, name string, wanted []string) error {
	mp, err := open(name)
	if err != nil {
		return err
	}
	m.maps = append(m.maps, mp)
	file, err := safetensors.Parse(mp.data)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if wanted == nil {
		for _, t := range file.Tensors {
			if err := m.addSafetensor(t); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}
	for _, tensor := range wanted {
		t, ok := file.Tensor(tensor)
		if !ok {
			return fmt.Errorf("%s: tensor %.80q is missing, the index says it is here", name, tensor)
		}
		if err := m.addSafetensor(t); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (m *Model) addSafetensor(t safetensors.Tensor) error {
	return m.add(t.Name, &entry{tensor: Tensor{DType: t.DType, Shape: t.Shape, Data: t.Data}})
}
