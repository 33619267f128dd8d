package config

import (
	"fmt"
	"strings"
)

// Upstream is what `reasond serve` is told about servers that it stands in
// front of.
type Upstream struct {
	Targets []string // URL or NAME=URL
	Kind    string
	APIKey  string
	Mode    string // chat: messages are passed on; completions: prompts are made here
}

// Target is one upstream.
type Target struct{ Name, URL string }

// AddFlags adds the flags about upstreams.
func (u *Upstream) AddFlags(f *Flags) {
	f.Var(List(&u.Targets, "url"), "upstream", "", "stand in front of this server, URL or NAME=URL; may be repeated")
	f.Var(Choice(&u.Kind, "openai", "vllm", "sglang", "lightllm", "lmdeploy", "llama-server", "ollama", "reasond", "llama.cpp=llama-server"), "upstream-kind", "", "what the upstream is: which switches and fields it knows")
	f.Var(String(&u.APIKey), "upstream-api-key", "", "key that the upstream asks for")
	f.Var(Choice(&u.Mode, "chat", "completions"), "upstream-mode", "", "chat: messages are passed on; completions: MODEL's template and tokenizer make the prompts here")
}

// List is the upstreams in order.
func (u *Upstream) List() []Target {
	var all []Target
	for _, t := range u.Targets {
		name, url, named := strings.Cut(t, "=")
		if !named || strings.Contains(name, "/") { // a URL may hold "=" itself
			name, url = "", t
		}
		all = append(all, Target{name, url})
	}
	return all
}

// validate checks what belongs together.
func (u *Upstream) validate(m *Model) error {
	switch {
	case len(u.Targets) == 0 && u.Mode == "completions":
		return fmt.Errorf("--upstream-mode completions needs --upstream")
	case len(u.Targets) == 0:
		return nil
	case m.TensorParallel > 1 || m.DataParallel > 1:
		return fmt.Errorf("--tensor-parallel-size and --data-parallel-size are for models that run here; the server behind --upstream has its own")
	case u.Mode == "completions" && m.Path == "":
		return fmt.Errorf("--upstream-mode completions needs MODEL: whose template and tokenizer make the prompts")
	case u.Mode == "chat" && m.Path != "":
		return fmt.Errorf("--upstream and the model %q exclude each other (--upstream-mode completions uses its template and tokenizer)", m.Path)
	}
	return nil
}
