package openai

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// wish is what a request says about its reasoning, in one line.
func wish(r *ChatRequest) string {
	var words []string
	if r.Thinking != nil {
		words = append(words, fmt.Sprintf("think=%t", *r.Thinking))
	}
	if r.AdaptiveThinking {
		words = append(words, "adaptive")
	}
	if r.ReasoningEffort != "" {
		words = append(words, r.ReasoningEffort)
	}
	if r.Given.Separate {
		words = append(words, fmt.Sprintf("separate=%t", r.SeparateReasoning))
	}
	if r.RawContent {
		words = append(words, "raw")
	}
	if r.Given.Stream {
		words = append(words, fmt.Sprintf("stream=%t", r.StreamReasoning))
	}
	if r.DropReasoning {
		words = append(words, "drop")
	}
	return strings.Join(words, " ")
}

func TestEverySpellingOfASwitchSaysTheSame(t *testing.T) {
	for _, c := range []struct{ members, want string }{
		{`"n":1`, ""},
		{`"enable_thinking":true`, "think=true"}, {`"enable_thinking":false`, "think=false"},
		{`"thinking":true`, "think=true"}, {`"thinking":false`, "think=false"}, {`"think":false`, "think=false"},
		{`"thinking":{"type":"enabled"}`, "think=true"}, {`"thinking":{"type":"disabled"}`, "think=false"},
		{`"thinking":{"type":"adaptive"}`, "adaptive"}, {`"thinking":{"type":"adaptive"},"enable_thinking":true`, "think=true adaptive"},
		{`"reasoning_effort":"none"`, "think=false none"}, {`"reasoning_effort":"xhigh"`, "think=true xhigh"},
		{`"reasoning":{"effort":"low"}`, "think=true low"}, {`"reasoning":{"enabled":false}`, "think=false"},
		{`"reasoning":{"enabled":true,"effort":"minimal","exclude":true}`, "think=true minimal drop"},
		{`"reasoning":{"effort":null,"max_tokens":null}`, ""},
		{`"reasoning_effort":"max","reasoning":{"effort":"max"},"thinking":true,"enable_thinking":true`, "think=true max"},
		{`"chat_template_kwargs":{"enable_thinking":false},"enable_thinking":true`, "think=true"},

		{`"separate_reasoning":false`, "separate=false"}, {`"stream_reasoning":false`, "stream=false"}, {`"stream_reasoning":true`, "stream=true"},
		{`"include_reasoning":false`, "drop"}, {`"include_reasoning":true`, ""}, {`"reasoning":{"exclude":false}`, ""},
		{`"reasoning_format":"auto"`, ""}, {`"reasoning_format":"deepseek"`, "separate=true"}, {`"reasoning_format":"none"`, "separate=false"},
		{`"reasoning_format":"deepseek-legacy"`, "separate=true raw"},
		{`"reasoning_format":"none","separate_reasoning":false`, "separate=false"},
		{`"reasoning_format":"auto","include_reasoning":false`, "drop"}, {`"separate_reasoning":true,"include_reasoning":false`, "separate=true drop"},
	} {
		req, err := DecodeChat([]byte(`{` + hello + `,` + c.members + `}`))
		if err != nil {
			t.Errorf("%s: %v", c.members, err)
		} else if got := wish(req); got != c.want {
			t.Errorf("%s: %q, want %q", c.members, got, c.want)
		}
	}
}

// The error names both members; param is one of them.
func TestSwitchesThatContradictEachOtherAreRefused(t *testing.T) {
	for _, c := range []struct{ members, one, other string }{
		{`"enable_thinking":true,"thinking":false`, "enable_thinking", "thinking"},
		{`"thinking":{"type":"disabled"},"enable_thinking":true`, "thinking.type", "enable_thinking"},
		{`"thinking":{"type":"adaptive"},"enable_thinking":false`, "thinking.type", "enable_thinking"},
		{`"reasoning_effort":"none","thinking":true`, "reasoning_effort", "thinking"},
		{`"reasoning_effort":"high","enable_thinking":false`, "reasoning_effort", "enable_thinking"},
		{`"reasoning_effort":"high","reasoning":{"effort":"low"}`, "reasoning_effort", "reasoning.effort"},
		{`"reasoning":{"effort":"none","enabled":true}`, "reasoning.effort", "reasoning.enabled"},
		{`"reasoning":{"enabled":false},"think":true`, "reasoning.enabled", "think"},
		{`"separate_reasoning":true,"reasoning_format":"none"`, "separate_reasoning", "reasoning_format"},
		{`"separate_reasoning":false,"reasoning_format":"deepseek-legacy"`, "separate_reasoning", "reasoning_format"},
		{`"separate_reasoning":false,"include_reasoning":false`, "separate_reasoning", "include_reasoning"},
		{`"reasoning_format":"deepseek-legacy","include_reasoning":false`, "reasoning_format", "include_reasoning"},
		{`"include_reasoning":true,"reasoning":{"exclude":true}`, "include_reasoning", "reasoning.exclude"},
	} {
		_, err := DecodeChat([]byte(`{` + hello + `,` + c.members + `}`))
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeInvalidValue || e.Param != c.one && e.Param != c.other ||
			!strings.Contains(e.Message, c.one) || !strings.Contains(e.Message, c.other) {
			t.Errorf("%s: %+v", c.members, err)
		}
	}
}

func TestWhatASwitchCannotBeIsRefused(t *testing.T) {
	for _, c := range []struct{ members, code, param string }{
		{`"enable_thinking":"yes"`, CodeInvalidValue, "enable_thinking"}, {`"thinking":"on"`, CodeInvalidValue, "thinking"},
		{`"thinking":{}`, CodeMissing, "thinking.type"}, {`"thinking":{"type":"auto"}`, CodeInvalidValue, "thinking.type"},
		{`"thinking":{"type":"enabled","budget_tokens":-2}`, CodeInvalidValue, "thinking.budget_tokens"},
		{`"thinking":{"type":"enabled","x":1}`, CodeUnknown, "thinking.x"},
		{`"reasoning":"high"`, CodeInvalidValue, "reasoning"}, {`"reasoning":{"effort":"huge"}`, CodeInvalidValue, "reasoning.effort"},
		{`"reasoning":{"max_tokens":"5"}`, CodeInvalidValue, "reasoning.max_tokens"}, {`"reasoning":{"summary":"auto"}`, CodeUnsupported, "reasoning.summary"}, {`"reasoning":{"y":5}`, CodeUnknown, "reasoning.y"},
		{`"reasoning_format":"hidden"`, CodeInvalidValue, "reasoning_format"}, {`"include_reasoning":1`, CodeInvalidValue, "include_reasoning"},
	} {
		_, err := DecodeChat([]byte(`{` + hello + `,` + c.members + `}`))
		var e *Error
		if !errors.As(err, &e) || e.Code != c.code || e.Param != c.param {
			t.Errorf("%s: %+v", c.members, err)
		}
	}
}
