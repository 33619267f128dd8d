package bundle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/prompt"
)

// Each published template shows the format of its calls, and none shows a wrong
// one.
func TestTemplatesShowTheirToolFormat(t *testing.T) {
	folder := "../../../shared/chat-templates/templates"
	if _, err := os.Stat(folder); err != nil {
		t.Skip("the templates of published models are not part of the project: ../shared/chat-templates is absent")
	}
	for name, want := range map[string]string{
		"Qwen-Qwen3-0.6B": "hermes", "Qwen-QwQ-32B": "hermes", "Qwen-Qwen2.5-7B-Instruct": "hermes",
		"Qwen3-Coder": "qwen3-coder", "StepFun3.5-Flash": "qwen3-coder", "ibm-granite-granite-4.0": "hermes",
		"deepseek-ai-DeepSeek-V3.1": "deepseek-v31", "deepseek-ai-DeepSeek-V3.2": "deepseek-v32",
		"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": "deepseek-v3", "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": "", // leaves past calls out
		"ByteDance-Seed-OSS": "seed-oss", "GLM-4.6": "glm45", "MiniMax-M2": "minimax-m2", "moonshotai-Kimi-K2": "kimi-k2",
		"Kimi-K2-Thinking":                     "", // needs list.append, which the sandbox refuses
		"mistralai-Mistral-Nemo-Instruct-2407": "mistral", "Mistral-Small-3.2-24B-Instruct-2506": "mistral",
		"NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use": "hermes", "ibm-granite-granite-3.3-2B-Instruct": "",
	} {
		source, err := os.ReadFile(filepath.Join(folder, name+".jinja"))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		r, err := prompt.NewRenderer(prompt.Config{Templates: prompt.Templates{Default: string(source)}, Tokens: map[string]string{"bos_token": "<s>", "eos_token": "</s>"}})
		if err != nil {
			t.Fatal(err)
		}
		if d, err := shownTools(r); err == nil {
			got = d.Name
		}
		r.Close()
		if got != want {
			t.Errorf("%s: shows %q, must show %q", name, got, want)
		}
	}
}

func TestTheEmbeddedModelShowsItsToolFormat(t *testing.T) {
	b, err := Open(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Tools == nil || b.Tools.Name != "hermes" {
		t.Errorf("tiny-reasoner's calls: %+v", b.Tools)
	}
	if _, err := Open(Config{ToolParser: "nothing"}); err == nil || !strings.Contains(err.Error(), "--tool-call-parser") {
		t.Errorf("an unknown format: %v", err)
	}
}
