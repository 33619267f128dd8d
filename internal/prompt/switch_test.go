package prompt

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
)

// turn is a template's beginning in these tests; what follows is the answer's.
const turn = `{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>`

// understood is a Switches in one line.
func understood(s *Switches) string {
	fallback := "?"
	if s.Default != nil {
		fallback = fmt.Sprint(*s.Default)
	}
	return fmt.Sprintf("%s; %s; %s", strings.Join(s.Names, " "), strings.Join(s.Efforts, " "), fallback)
}

// Templates in the manner of several families: what they are found to understand.
var switched = []struct{ name, source, want string }{
	{"none", turn, "; ; ?"},
	{"qwen3", turn + `{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}`, "enable_thinking; ; true"},
	{"deepseek", turn + `{% if thinking %}<think>{% else %}</think>{% endif %}`, "thinking; ; false"},
	{"either", turn + `{% if thinking is not defined %}{% set thinking = enable_thinking %}{% endif %}{% if thinking %}<think>{% else %}</think>{% endif %}`, "enable_thinking thinking; ; false"},
	{"three states", turn + `{% if enable_thinking is not defined %}<think>?{% elif enable_thinking %}<think>{% else %}</think>{% endif %}`, "enable_thinking; ; ?"},
	{"note before the turn", `{% if enable_thinking is defined and not enable_thinking %}/no {% elif enable_thinking is defined %}/yes {% endif %}` + turn + `{% if enable_thinking is defined and not enable_thinking %}</think>{% endif %}`, "enable_thinking; ; true"},
	{"minimax-m3", turn + `{% if thinking_mode == "enabled" %}<think>{% elif thinking_mode == "adaptive" %}?{% else %}</think>{% endif %}`, "thinking_mode; ; false"},
	{"seed", turn + `{% if thinking_budget is defined and thinking_budget == 0 %}</think>{% endif %}`, "thinking_budget; ; true"},
	{"gpt-oss", `Reasoning: {{ reasoning_effort or "medium" }}` + turn, "; low medium high; ?"},
	{"hunyuan", turn + `{% if reasoning_effort is not defined or reasoning_effort == "no_think" %}</think>{% elif reasoning_effort == "low" %}<think>.{% else %}<think>{% endif %}{# "high" #}`, "; low high; false"},
	{"hunyuan 4", turn + `{% if reasoning_effort is not defined %}{% set reasoning_effort = 'high' %}{% endif %}<think>{% if reasoning_effort == 'no_think' %}</think>{% endif %}`, "; high; true"},
	{"mistral", `{% set e = reasoning_effort or "none" %}{% if e not in ["none", "high"] %}{{ raise_exception("no") }}{% endif %}` + turn + `[{{ e }}]`, "; none high; false"},
	{"kimi-k3", `{% set e = thinking_effort or "max" %}{% if e not in ["low", "high", "max"] %}{{ raise_exception("no") }}{% endif %}{% if thinking is not defined or thinking %}[{{ e }}]{% endif %}` + turn + `{% if thinking is not defined or thinking %}<think>{% else %}<response>{% endif %}`, "thinking; low high max; true"},
	{"strict switch", `{% if thinking is defined and thinking is not string %}{{ raise_exception("a string") }}{% endif %}` + turn + `{% if enable_thinking %}<think>{% endif %}`, "enable_thinking; ; false"},
}

func TestTemplatesAreProbedForTheirSwitches(t *testing.T) {
	for _, c := range switched {
		if got := understood(newRenderer(t, c.source).Switches()); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestPublishedTemplatesAreProbedForTheirSwitches(t *testing.T) {
	want := map[string]string{
		"Apertus-8B-Instruct": "enable_thinking; ; false", "ByteDance-Seed-OSS": "thinking_budget; ; true",
		"GLM-4.6": "enable_thinking; ; true", "HuggingFaceTB-SmolLM3-3B": "enable_thinking; ; true",
		"Qwen-QwQ-32B": "enable_thinking; ; false", "Qwen-Qwen3-0.6B": "enable_thinking; ; true",
		"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": "enable_thinking; ; false",
		"deepseek-ai-DeepSeek-V3.1":                "enable_thinking thinking; ; false",
		"deepseek-ai-DeepSeek-V3.2":                "enable_thinking thinking; ; false",
		"ibm-granite-granite-3.3-2B-Instruct":      "thinking; ; false",
		"openai-gpt-oss-120b":                      "; low medium high; ?",
		"upstage-Solar-Open-100B":                  "; minimal low high; ?",
	}
	p := readPublished(t)
	for name := range p.rendered {
		expected := want[name]
		if expected == "" {
			expected = "; ; ?"
		}
		if got := understood(p.renderer(t, name).Switches()); got != expected {
			t.Errorf("%s: %q, want %q", name, got, expected)
		}
	}
}

// spellings of one wish: a request's fields, or template options.
func spellings(on bool) []spelling {
	mode, typed := `"disabled"`, "none"
	if on {
		mode, typed = `"enabled"`, ""
	}
	raw := json.RawMessage(fmt.Sprint(on))
	all := []spelling{
		{wish: Wish{Think: &on}},
		{kwargs: map[string]json.RawMessage{"enable_thinking": raw}},
		{kwargs: map[string]json.RawMessage{"thinking": raw}},
		{kwargs: map[string]json.RawMessage{"thinking_mode": json.RawMessage(mode)}},
	}
	if typed != "" {
		all = append(all, spelling{wish: Wish{Effort: typed}})
	}
	return all
}

type spelling struct {
	wish   Wish
	kwargs map[string]json.RawMessage
}

func (s spelling) render(t *testing.T, r *Renderer) string {
	t.Helper()
	kwargs := r.Switches().Spell(ReadWish(s.kwargs).Or(s.wish), s.kwargs)
	return mustRender(t, r, Input{Messages: user("hi"), AddGenerationPrompt: true, Kwargs: kwargs}).Text
}

// Whichever way a request turns thinking off or on, the prompt is the same, and
// the two prompts differ where the template can turn it off at all.
func TestEverySpellingTurnsThinkingOffAndOn(t *testing.T) {
	renderers := map[string]*Renderer{}
	for _, c := range switched {
		if c.name != "strict switch" { // it refuses one of the spellings
			renderers[c.name] = newRenderer(t, c.source)
		}
	}
	everySpelling(t, renderers)
	t.Run("published", func(t *testing.T) {
		p := readPublished(t)
		clear(renderers)
		for name := range p.rendered {
			if !strings.Contains(name, "tool_use") { // renders no chat without tools
				renderers[name] = p.renderer(t, name)
			}
		}
		everySpelling(t, renderers)
	})
}

func everySpelling(t *testing.T, renderers map[string]*Renderer) {
	t.Helper()
	for name, r := range renderers {
		off, on := spellings(false)[0].render(t, r), spellings(true)[0].render(t, r)
		for _, thinks := range []bool{false, true} {
			want := map[bool]string{false: off, true: on}[thinks]
			for _, s := range spellings(thinks) {
				if got := s.render(t, r); got != want {
					t.Errorf("%s, thinking %t, %+v: %q, want %q", name, thinks, s, got, want)
				}
			}
		}
		s := r.Switches()
		if can := len(s.Names) > 0 || len(s.Efforts) > 0; can != (off != on) && name != "openai-gpt-oss-120b" {
			t.Errorf("%s: on and off differ: %t; it understands %s", name, off != on, understood(s))
		}
	}
}

func TestEffortsAreTranslated(t *testing.T) {
	for _, c := range []struct{ template, given, want string }{
		{"gpt-oss", "none", "low"}, {"gpt-oss", "minimal", "low"}, {"gpt-oss", "medium", "medium"}, {"gpt-oss", "xhigh", "high"}, {"gpt-oss", "max", "high"},
		{"hunyuan", "none", "no_think"}, {"hunyuan", "minimal", "low"}, {"hunyuan", "medium", "high"}, {"hunyuan", "max", "high"},
		{"hunyuan 4", "none", "no_think"}, {"hunyuan 4", "low", "high"},
		{"mistral", "none", "none"}, {"mistral", "minimal", "high"}, {"mistral", "medium", "high"},
		{"qwen3", "low", "low"}, // it does not read it
		{"kimi-k3", "minimal", "low"}, {"kimi-k3", "medium", "high"}, {"kimi-k3", "xhigh", "max"},
	} {
		for _, s := range switched {
			if s.name != c.template {
				continue
			}
			got := newRenderer(t, s.source).Switches().Kwargs(Wish{Effort: c.given})
			if string(got[EffortName]) != `"`+c.want+`"` && string(got["thinking_effort"]) != `"`+c.want+`"` {
				t.Errorf("%s: %s became %s, want %s", c.template, c.given, got[EffortName], c.want)
			}
		}
	}
}

func TestWishesBecomeTemplateOptions(t *testing.T) {
	on, off := true, false
	for _, c := range []struct {
		template string
		wish     Wish
		want     string
	}{
		{"qwen3", Wish{}, `{}`},
		{"qwen3", Wish{Think: &off}, `{"enable_thinking":false,"thinking":false}`},
		{"qwen3", Wish{Effort: "high"}, `{"enable_thinking":true,"reasoning_effort":"high","thinking":true}`},
		{"minimax-m3", Wish{Think: &on}, `{"enable_thinking":true,"thinking":true,"thinking_mode":"enabled"}`},
		{"minimax-m3", Wish{Adaptive: true}, `{"thinking_mode":"adaptive"}`},
		{"qwen3", Wish{Adaptive: true}, `{}`},
		{"seed", Wish{Think: &off}, `{"enable_thinking":false,"thinking":false,"thinking_budget":0}`},
		{"kimi-k3", Wish{Effort: "none"}, `{"enable_thinking":false,"thinking":false}`},
		{"kimi-k3", Wish{Effort: "low"}, `{"enable_thinking":true,"thinking":true,"thinking_effort":"low"}`},
		{"gpt-oss", Wish{Think: &off}, `{"enable_thinking":false,"reasoning_effort":"low","thinking":false}`},
		{"gpt-oss", Wish{Think: &on}, `{"enable_thinking":true,"thinking":true}`},
		{"hunyuan", Wish{Think: &on}, `{"enable_thinking":true,"reasoning_effort":"high","thinking":true}`},
		{"hunyuan", Wish{Think: &off, Effort: "high"}, `{"enable_thinking":false,"reasoning_effort":"no_think","thinking":false}`},
		{"strict switch", Wish{Think: &on}, `{"enable_thinking":true}`},
		{"", Wish{Think: &off}, `{"enable_thinking":false,"thinking":false}`},
		{"", Wish{Effort: "none"}, `{"enable_thinking":false,"reasoning_effort":"none","thinking":false}`},
		{"", Wish{Effort: "low"}, `{"enable_thinking":true,"reasoning_effort":"low","thinking":true}`},
	} {
		var s *Switches // "": nobody has seen the template
		for _, known := range switched {
			if known.name == c.template {
				s = newRenderer(t, known.source).Switches()
			}
		}
		if got, _ := json.Marshal(s.Kwargs(c.wish)); string(got) != c.want {
			t.Errorf("%q, %+v: %s, want %s", c.template, c.wish, got, c.want)
		}
	}
}

func TestTemplateOptionsAreReadAsAWish(t *testing.T) {
	for in, want := range map[string]string{
		`{}`: "", `{"x":false}`: "", `{"enable_thinking":false}`: "off", `{"thinking":true}`: "on", `{"thinking_budget":0}`: "off", `{"thinking_budget":512}`: "",
		`{"thinking_mode":"disabled"}`: "off", `{"thinking_mode":"adaptive"}`: "", `{"enable_thinking":"false"}`: "",
		`{"enable_thinking":true,"thinking":false}`: "", `{"reasoning_effort":"no_think"}`: "off none", `{"reasoning_effort":"low"}`: "on low",
		`{"reasoning_effort":7}`: "", `{"thinking_effort":"max"}`: "on max", `{"reasoning_effort":"own word"}`: "", `{"enable_thinking":false,"reasoning_effort":"low"}`: "off low",
	} {
		var kwargs map[string]json.RawMessage
		if err := json.Unmarshal([]byte(in), &kwargs); err != nil {
			t.Fatal(err)
		}
		w := ReadWish(kwargs)
		got := ""
		if w.Think != nil {
			got = map[bool]string{true: "on", false: "off"}[*w.Think]
		}
		if w.Effort != "" {
			got += " " + w.Effort
		}
		if got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

// A request's options reach the template as they are, whatever else it says.
func TestTemplateOptionsWin(t *testing.T) {
	on := true
	explicit := map[string]json.RawMessage{"enable_thinking": json.RawMessage("false"), "x": json.RawMessage("1")}
	for _, c := range switched {
		r := newRenderer(t, c.source)
		got := r.Switches().Spell(ReadWish(explicit).Or(Wish{Think: &on, Effort: "high"}), maps.Clone(explicit))
		if string(got["enable_thinking"]) != "false" || string(got["x"]) != "1" || string(got["thinking"]) == "true" {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}
