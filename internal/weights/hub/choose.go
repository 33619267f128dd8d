package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The files of a folder that reasond reads, besides the weights.
var sideFiles = []string{
	"config.json", "generation_config.json",
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
	"chat_template.jinja", "chat_template.json",
}

const (
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
	maxIndex   = 64 << 20 // bytes
)

// choice is what to fetch of a repository and what to open then.
type choice struct {
	files []string
	index string // also to fetch; it names further files
	open  string // within the snapshot; "" is the folder
}

// choose decides what a model needs of a repository's files. Safetensors win
// unless a GGUF file is asked for.
func choose(names []string, pick string) (choice, error) {
	folder := slices.Contains(names, "config.json")
	single, index := slices.Contains(names, singleFile), slices.Contains(names, indexFile)
	if pick == "" && folder && (single || index) {
		var c choice
		for _, name := range sideFiles {
			if slices.Contains(names, name) {
				c.files = append(c.files, name)
			}
		}
		if index {
			c.index = indexFile
		} else {
			c.files = append(c.files, singleFile)
		}
		return c, nil
	}
	name, err := chooseGGUF(names, pick)
	if err != nil {
		return choice{}, err
	}
	return choice{files: []string{name}, open: name}, nil
}

// ggufPreference is the order in which a GGUF file is taken where none is
// asked for: what a model was published in (gpt-oss), the smallest that loses
// little, then larger ones.
var ggufPreference = []string{"MXFP4", "Q4_K_M", "Q8_0", "Q5_K_M", "Q6_K", "Q4_K_S", "Q4_1", "Q4_0", "BF16", "F16", "F32"}

var splitPattern = regexp.MustCompile(`-\d{5}-of-\d{5}\.gguf$`)

// chooseGGUF finds the one file that pick means, a path or a quantisation's
// name within the file's name. An empty pick means the only file there is, or
// the first of ggufPreference.
func chooseGGUF(names []string, pick string) (string, error) {
	var all []string
	for _, name := range names {
		if strings.HasSuffix(name, ".gguf") && !strings.HasPrefix(path.Base(name), "mmproj") {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	if len(all) == 0 {
		return "", errors.New("the repository holds neither " + singleFile + " with config.json nor a .gguf file")
	}
	found := all
	if pick != "" {
		if slices.Contains(all, pick) {
			found = []string{pick}
		} else {
			found = withQuant(all, pick)
		}
	} else if len(all) > 1 {
		for _, quant := range ggufPreference {
			if found = withQuant(all, quant); len(found) > 0 {
				break
			}
		}
	}
	switch {
	case len(found) == 0 && pick == "":
		return "", fmt.Errorf("name one of the GGUF files after a colon: %s", few(all))
	case len(found) == 0:
		return "", fmt.Errorf("no GGUF file is %.80q; there are %s", pick, few(all))
	case splitPattern.MatchString(found[0]):
		return "", fmt.Errorf("%s is a part of a GGUF file split in parts, which is not supported", found[0])
	case len(found) > 1:
		return "", fmt.Errorf("several GGUF files are meant, name one after a colon: %s", few(found))
	}
	return found[0], nil
}

// withQuant are the files whose name has quant as a word of its own, in any
// letter case: Q4_K is not in x-Q4_K_M.gguf.
func withQuant(names []string, quant string) []string {
	var found []string
	for _, name := range names {
		words := strings.FieldsFunc(strings.TrimSuffix(path.Base(name), ".gguf"), func(r rune) bool { return r == '-' || r == '.' })
		if slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, quant) }) {
			found = append(found, name)
		}
	}
	return found
}

// few is the first of a list for an error text.
func few(names []string) string {
	const most = 12
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// readIndex lists the weight files that an index names.
func readIndex(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxIndex))
	if err != nil {
		return nil, err
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("%s: %w", indexFile, err)
	}
	var files []string
	for _, file := range index.WeightMap {
		if !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	slices.Sort(files)
	for _, file := range files {
		if !plainPath(file) || strings.Contains(file, "/") || !strings.HasSuffix(file, ".safetensors") {
			return nil, fmt.Errorf("%s: %.80q is not a safetensors file of the folder", indexFile, file)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: weight_map is empty", indexFile)
	}
	return files, nil
}

// plainPath reports whether a slash-separated path stays below its root and
// means the same on every system.
func plainPath(name string) bool {
	return fs.ValidPath(name) && name != "." && !strings.ContainsAny(name, "\\:\x00\r\n") && len(name) < 512
}
