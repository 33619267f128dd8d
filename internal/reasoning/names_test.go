package reasoning

import (
	"strings"
	"testing"

	"github.com/reasond/reasond/api/reasoning"
)

// known are the names that other servers' users write, by server.
var known = map[string][]string{
	"SGLang 0.5.23": {
		"apertus2509", "beam", "cohere_command4", "deepseek-r1", "deepseek-v3", "deepseek-v4", "deepseek-v41",
		"dots", "gemma4", "gigachat35", "glm45", "gpt-oss", "granite_thinking_parser", "hunyuan", "inkling",
		"interns1", "iquest_q1", "k2_horizon", "kimi", "kimi_k2", "kimi_k3", "ling3", "mimo", "minimax",
		"minimax-append-think", "minimax-m3", "mistral", "muse", "nanbeige", "nemotron_3", "poolside_v1",
		"qwen3", "qwen3-thinking", "response_template", "step3", "step3p5",
	},
	"vLLM 0.33.0": {
		"beam", "cohere_command3", "cohere_command4", "deepseek_r1", "deepseek_v3", "deepseek_v4", "deepseek_v41",
		"ernie45", "gemma4", "glm45", "glm47", "granite", "granite_thinking_parser", "hf", "holo2", "hunyuan_a13b",
		"hy_v3", "hy_v4", "inkling", "k2_horizon", "kimi_k2", "kimi_k3", "ling3", "mimo", "minicpmv", "minimax_m2",
		"minimax_m2_append_think", "minimax_m3", "mistral", "muse", "muse_glimmer", "musespark1x", "nemotron_v3",
		"olmo3", "openai_gptoss", "plamo3", "poolside_v1", "qwen3", "seed_oss", "step3", "step3p5", "step5",
	},
	"LightLLM": {
		"deepseek-r1", "deepseek-v3", "gemma4", "glm45", "gpt-oss", "interns1", "kimi", "kimi_k2", "minimax",
		"minimax-append-think", "nano_v3", "qwen3", "qwen3-thinking", "step3",
	},
	"LMDeploy": {
		"default", "qwen-qwq", "intern-s1", "deepseek-r1", "deepseek-v3", "deepseek-v32", "deepseek-v3.2",
		"deepseek-v4", "gpt-oss",
	},
	"model families": {
		"apertus", "cohere-command3", "cohere-command4", "deepseek-v31", "deepseek-v3.1", "glm46", "glm47", "glm-5",
		"granite", "granite-thinking", "hunyuan-a13b", "k2-horizon", "nemotron-v3", "qwq", "seed-oss",
	},
}

func TestNamesOfOtherServersAreKnown(t *testing.T) {
	if n := len(known["SGLang 0.5.23"]); n != 36 {
		t.Errorf("SGLang has 36 names, %d are here", n)
	}
	if n := len(known["vLLM 0.33.0"]); n != 42 {
		t.Errorf("vLLM has 42 names, %d are here", n)
	}
	for server, names := range known {
		for _, name := range names {
			hyphens := strings.ReplaceAll(name, "_", "-")
			want, err := reasoning.Lookup(hyphens)
			if err != nil {
				t.Errorf("%s: %v", server, err)
			}
			for _, spelling := range []string{name, strings.ReplaceAll(name, "-", "_"), strings.ToUpper(name)} {
				if d, err := reasoning.Lookup(spelling); err != nil || d.Name != want.Name {
					t.Errorf("%s: %q is %q, %q is %q, %v", server, hyphens, want.Name, spelling, d.Name, err)
				}
			}
		}
	}
}
