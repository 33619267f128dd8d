package reasoning

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Brought is what a model brings that shows how it writes its thoughts. There
// is no name in it: what a model or its files are called says nothing.
type Brought struct {
	Template string   // source of its chat templates, in Jinja
	Tokens   []string // added tokens of its vocabulary
}

// ErrNoThought says that nothing in the template is about thoughts.
var ErrNoThought = errors.New("the chat template knows no reasoning")

// Detect finds the parser for a model's answers by the framing and the tags
// that its chat template writes. Where they fit none that is known, or several,
// it is an error that says so: nothing is guessed.
func Detect(b Brought) (name string, err error) {
	source := plainSource(b.Template)
	var found []string
	for _, s := range signs {
		if s.in(source, b.Tokens) && !slices.Contains(found, s.parser) {
			found = append(found, s.parser)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fmt.Errorf("the chat template fits several reasoning parsers: %s", strings.Join(found, ", "))
	}
	if trace := thoughtTraces.FindString(source); trace != "" {
		return "", fmt.Errorf("the chat template has %q, but is of no known form", trace)
	}
	return "", ErrNoThought
}

// thoughtTraces are what a template that knows thoughts has in it.
var thoughtTraces = regexp.MustCompile(`</?[^<>\s'"]{0,20}think[^<>'"]{0,20}>|\[THINK\]|reasoning_content|\.reasoning\b|\bthinking\b|to=self|\bthought process:|enable_thinking`)

var templateComments = regexp.MustCompile(`(?s)\{#.*?#\}`)

// plainSource is a template without its templateComments, in which a line break within
// a string is a line break.
func plainSource(source string) string {
	return strings.ReplaceAll(templateComments.ReplaceAllString(source, ""), `\n`, "\n")
}

// sign is what shows a parser: every string of has is in the template, and none
// of lacks.
type sign struct {
	parser     string
	has, lacks []string
	// token: a token of the vocabulary does instead, for templates that leave
	// thoughts to the model.
	token string
}

func (s *sign) in(source string, tokens []string) bool {
	if s.token != "" && slices.Contains(tokens, s.token) {
		return true
	}
	in := func(part string) bool { return strings.Contains(source, part) }
	return len(s.has) > 0 && !slices.ContainsFunc(s.has, func(part string) bool { return !in(part) }) && !slices.ContainsFunc(s.lacks, in)
}

// The framings of turns that several families share.
const (
	chatML   = "<|im_start|>"
	deepSeek = "<｜Assistant｜>"
)

// answerTags are tags around the answer, which only parsers that know them may
// meet.
var answerTags = []string{"<response>", "<answer>", "<|begin_of_box|>"}

// notPlainChatML are marks of families that write ChatML in a way of their own.
var notPlainChatML = append([]string{deepSeek, "<|im_middle|>", "truncate_history_thinking", "<function_calls>"}, answerTags...)

// opensAlways is a generation prompt that always opens the thought.
const opensAlways = "assistant\n<think>"

// signs are the forms that are known. A parser has a line for each.
var signs = []sign{
	// Tags and framings that one family has.
	{parser: "gpt-oss", has: []string{"<|start|>", "<|channel|>", "<|message|>", "analysis"}},
	{parser: "apertus2509", has: []string{"<|inner_prefix|>", "<|inner_suffix|>"}},
	{parser: "seed-oss", has: []string{"<seed:think>", "</seed:think>"}},
	{parser: "gemma4", has: []string{"<|channel>", "<channel|>"}},
	{parser: "kimi", has: []string{"◁think▷"}, token: "◁think▷"},
	{parser: "kimi-k3", has: []string{"<|open|>", "<|close|>", "<|sep|>", "think"}},
	{parser: "hunyuan", has: []string{"<think:opensource>", "</think:opensource>"}},
	{parser: "hunyuan", has: []string{"<think:6124c78e>", "</think:6124c78e>"}},
	{parser: "minimax-m3", has: []string{"<mm:think>", "</mm:think>"}},
	{parser: "k2-horizon", has: []string{"<ifm|think"}},
	{parser: "plamo3", has: []string{"<|plamo:begin_think:plamo|>"}},
	{parser: "cohere-command3", has: []string{"<|START_THINKING|>", "<|START_RESPONSE|>"}, lacks: []string{"<|START_TEXT|>"}},
	{parser: "cohere-command4", has: []string{"<|START_THINKING|>", "<|START_TEXT|>"}, lacks: []string{"<|START_RESPONSE|>"}},
	{parser: "mistral", has: []string{"[INST]", "[THINK]", "[/THINK]"}},
	{parser: "inkling", has: []string{"<|content_thinking|>", "<|end_message|>"}},
	{parser: "granite", has: []string{"<|start_of_role|>", "Here is my thought process:", "Here is my response:"}},

	// <think>, in a framing of the family's own.
	{parser: "deepseek-v4", has: []string{deepSeek, "</think>", "DSML", "tool_calls>"}},
	{parser: "deepseek-v3", has: []string{deepSeek, "</think>", "thinking", "<think>"}, lacks: []string{"DSML|tool_calls>", "tool_calls>", opensAlways, "｜><think>\n"}},
	{parser: "deepseek-r1", has: []string{deepSeek, "</think>", "｜><think>\n"}, lacks: []string{"DSML"}},
	{parser: "kimi-k2", has: []string{"<|im_middle|>", "<think>", "</think>"}, lacks: answerTags},
	{parser: "minimax", has: []string{"]~b]", "<think>", "</think>"}},
	{parser: "glm45", has: []string{"[gMASK]", "<think>", "</think>"}, lacks: answerTags},
	{parser: "ling3", has: []string{"<role>ASSISTANT</role>", "<think>", "</think>"}, lacks: answerTags},
	{parser: "step3", has: []string{"<|BOT|>", "<think>", "</think>"}, lacks: answerTags},
	{parser: "ernie45", has: []string{chatML, "<think>", "</think>", "<response>", "</response>"}},
	{parser: "hunyuan-a13b", has: []string{"<|extra_0|>", "<think>", "</think>", "<answer>"}},

	// <think> in ChatML: what tells the parsers apart is which calls end a thought,
	// and whether the prompt always opens one.
	{parser: "nemotron-v3", has: []string{chatML, "<think>", "</think>", "truncate_history_thinking"}, lacks: answerTags},
	{parser: "olmo3", has: []string{chatML, "<think>", "<function_calls>", "<functions>"}, lacks: answerTags},
	{parser: "step3p5", has: []string{chatML, opensAlways, "</think>", "reasoning_content", "<tool_call>\n<function=", chatML + "tool_response\n"}, lacks: append([]string{"enable_thinking"}, notPlainChatML...)},
	{parser: "qwen3-thinking", has: []string{chatML, opensAlways, "</think>", "reasoning_content", "<tool_call>"}, lacks: append([]string{"enable_thinking", chatML + "tool_response\n"}, notPlainChatML...)},
	{parser: "qwen3", has: []string{chatML, "<think>", "</think>", "enable_thinking", "reasoning_content"}, lacks: notPlainChatML},
	{parser: "qwen3", has: []string{chatML, "<think>", "</think>", "enable_thinking"}, lacks: append([]string{opensAlways}, notPlainChatML...)},
	{parser: "deepseek-r1", has: []string{chatML, opensAlways, "</think>"}, lacks: append([]string{"reasoning_content"}, notPlainChatML...)},
}
