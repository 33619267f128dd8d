package prompt

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Templates are a model's chat templates, as Jinja source.
type Templates struct {
	Default string
	// Named are further ones. "tool_use" renders chats that offer tools.
	Named map[string]string
}

const toolUse = "tool_use"

// pick gives the templates for chats without and with tools.
func (t Templates) pick() (plain, tools string, err error) {
	plain, tools = t.Default, t.Named[toolUse]
	switch {
	case plain == "" && tools == "" && len(t.Named) > 0:
		return "", "", fmt.Errorf("none of the model's chat templates is the default: %s",
			strings.Join(sortedKeys(t.Named), ", "))
	case plain == "" && tools == "":
		return "", "", ErrNoTemplate
	case plain == "":
		plain = tools
	case tools == "":
		tools = plain
	}
	return plain, tools, nil
}

// Source is all templates together.
func (t Templates) Source() string {
	var all strings.Builder
	all.WriteString(t.Default)
	for _, name := range sortedKeys(t.Named) {
		all.WriteString("\n" + t.Named[name])
	}
	return all.String()
}

// write reports whether a template holds a token as its own text.
func (t Templates) write(token string) bool {
	if strings.Contains(t.Default, token) {
		return true
	}
	for _, source := range t.Named {
		if strings.Contains(source, token) {
			return true
		}
	}
	return false
}

// The files of a model's folder that hold templates, as transformers knows them.
const (
	jinjaFile  = "chat_template.jinja"
	jsonFile   = "chat_template.json"
	configFile = "tokenizer_config.json"
	namedDir   = "additional_chat_templates"
)

// ReadTemplates finds the templates of a model's folder. The first of
// chat_template.jinja (with additional_chat_templates/), chat_template.json and
// tokenizer_config.json that has any is taken; none is no error, see ErrNoTemplate.
func ReadTemplates(folder fs.FS) (Templates, error) {
	t, err := readJinja(folder)
	if err != nil || t.Default != "" || len(t.Named) > 0 {
		return t, err
	}
	for _, name := range []string{jsonFile, configFile} {
		data, err := readOptional(folder, name)
		if err != nil {
			return Templates{}, err
		}
		if data == nil {
			continue
		}
		t, err := ParseTemplates(data)
		if err != nil {
			return Templates{}, fmt.Errorf("%s: %w", name, err)
		}
		if t.Default != "" || len(t.Named) > 0 {
			return t, nil
		}
	}
	return Templates{}, nil
}

func readJinja(folder fs.FS) (Templates, error) {
	source, err := readOptional(folder, jinjaFile)
	if err != nil {
		return Templates{}, err
	}
	t := Templates{Default: string(source)}
	names, err := fs.Glob(folder, namedDir+"/*.jinja")
	if err != nil {
		return Templates{}, err
	}
	for _, name := range names {
		source, err := fs.ReadFile(folder, name)
		if err != nil {
			return Templates{}, err
		}
		t.name(strings.TrimSuffix(path.Base(name), ".jinja"), string(source))
	}
	return t, nil
}

func (t *Templates) name(name, source string) {
	if name == "default" {
		t.Default = source
		return
	}
	if t.Named == nil {
		t.Named = map[string]string{}
	}
	t.Named[name] = source
}

func readOptional(folder fs.FS, name string) ([]byte, error) {
	data, err := fs.ReadFile(folder, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// ParseTemplates reads the member chat_template of a tokenizer_config.json or
// chat_template.json: one source, or a list of named ones.
func ParseTemplates(config []byte) (Templates, error) {
	var file struct {
		Template json.RawMessage `json:"chat_template"`
	}
	if err := json.Unmarshal(config, &file); err != nil {
		return Templates{}, err
	}
	if len(file.Template) == 0 || string(file.Template) == "null" {
		return Templates{}, nil
	}
	var t Templates
	if json.Unmarshal(file.Template, &t.Default) == nil {
		return t, nil
	}
	var list []struct{ Name, Template string }
	if json.Unmarshal(file.Template, &list) == nil {
		for _, entry := range list {
			t.name(entry.Name, entry.Template)
		}
		return t, nil
	}
	var named map[string]string
	if err := json.Unmarshal(file.Template, &named); err != nil {
		return Templates{}, errors.New("chat_template is neither a string nor a list of named templates")
	}
	for name, source := range named {
		t.name(name, source)
	}
	return t, nil
}

// ParseTokens reads the special tokens that templates know as variables
// (bos_token, eos_token, pad_token and so on) from a tokenizer_config.json.
func ParseTokens(config []byte) (map[string]string, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(config, &members); err != nil {
		return nil, err
	}
	tokens := map[string]string{}
	for name, value := range members {
		if !strings.HasSuffix(name, "_token") {
			continue
		}
		var token string
		var added struct{ Content string }
		if json.Unmarshal(value, &token) == nil {
			tokens[name] = token
		} else if json.Unmarshal(value, &added) == nil {
			tokens[name] = added.Content
		}
	}
	for name, token := range tokens {
		if token == "" {
			delete(tokens, name)
		}
	}
	return tokens, nil
}
