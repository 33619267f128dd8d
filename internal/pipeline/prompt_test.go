package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/tokenizer"
)

// A chat, its text and its ids are three ways to say one prompt: the engine is
// asked the same and the answer comes apart the same.
func TestAPromptIsTheSameAsChatTextAndIDs(t *testing.T) {
	for _, think := range []string{"true", "false"} {
		var asked [][]int32
		probe := newModel(t, "qwen3", scripted.Config{})
		ids := answer(t, probe, "\nso it is\n</think>\n\nyes")
		m := newModel(t, "qwen3", scripted.Config{Script: func(r *llm.Request, _ int) []scripted.Step {
			asked = append(asked, r.Prompt.IDs)
			return scripted.IDs(ids)(r, 0)
		}})
		chat := request()
		chat.Chat.Kwargs = map[string]json.RawMessage{"enable_thinking": json.RawMessage(think)}
		text, err := m.Render(chat)
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := m.ChatTokens(chat)
		if err != nil {
			t.Fatal(err)
		}
		want := run(t, m, chat)[0]
		for name, p := range map[string]*llm.Prompt{"text": {Text: text}, "ids": {IDs: tokens}} {
			raw := request()
			raw.Chat, raw.Prompt = llm.Chat{}, p
			if got := run(t, m, raw)[0]; got.reasoning != want.reasoning || got.content != want.content || got.usage != want.usage {
				t.Errorf("thinking %s, %s: %+v, as a chat %+v", think, name, got, want)
			}
		}
		for _, ids := range asked {
			if !slices.Equal(ids, tokens) {
				t.Errorf("thinking %s: the engine was asked %v, the chat's prompt is %v", think, ids, tokens)
			}
		}
	}
}

// Where the prompt opens a thought, what comes first is the thought.
func TestARawPromptMayLeaveAThoughtOpen(t *testing.T) {
	m := script(t, "qwen3", "because</think>42", 4)
	for text, want := range map[string]string{
		"Why?\n<think>\n": "because|42", "Why?": "|because</think>42", "<think>a</think>\n": "|because</think>42",
		"<|im_start|>user\n<think><|im_end|>\nHm": "|because</think>42", "a</think>b<think>": "because|42",
	} {
		req := request()
		req.Chat, req.Prompt = llm.Chat{}, &llm.Prompt{Text: text}
		if got := run(t, m, req)[0]; got.reasoning+"|"+got.content != want {
			t.Errorf("after %q: %q | %q, want %q", text, got.reasoning, got.content, want)
		}
	}
}

// sentencePiece puts a space before a text's first word, and takes it away again.
const sentencePiece = `{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
 "normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},
 "pre_tokenizer":null,"post_processor":null,
 "decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
 "model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":true,"byte_fallback":true,"vocab":{"▁":0,"a":1,"b":2},"merges":[]}}`

// An answer's first space is the tokenizer's; that of a text which goes on from
// a prompt is the text's.
func TestWhatGoesOnFromAPromptKeepsItsSpace(t *testing.T) {
	m := newModel(t, "", scripted.Config{Script: func(*llm.Request, int) []scripted.Step { return scripted.IDs([]int32{0, 1})(nil, 0) }})
	tok, err := tokenizer.New([]byte(sentencePiece), tokenizer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tok.Close() })
	m.Tokenizer = tok
	for _, p := range []*llm.Prompt{{Text: "b"}, {IDs: []int32{0, 2}}} {
		req := request()
		req.Prompt = p
		if got := run(t, m, req)[0]; got.content != " a" {
			t.Errorf("after %+v: %q", p, got.content)
		}
	}
}

func TestARawPromptIsCheckedBeforeTheEngine(t *testing.T) {
	m := newModel(t, "qwen3", scripted.Config{Script: func(*llm.Request, int) []scripted.Step {
		t.Error("the engine was asked")
		return nil
	}})
	for name, c := range map[string]struct {
		prompt llm.Prompt
		kind   llm.Kind
	}{
		"empty": {llm.Prompt{}, llm.Invalid}, "no id": {llm.Prompt{IDs: []int32{}}, llm.Invalid},
		"negative": {llm.Prompt{IDs: []int32{-1}}, llm.Invalid}, "past the vocabulary": {llm.Prompt{IDs: []int32{1 << 30}}, llm.Invalid},
		"invalid UTF-8": {llm.Prompt{Text: "\xff"}, llm.Invalid}, "long text": {llm.Prompt{Text: strings.Repeat("no ", 1<<20)}, llm.TooLong},
		"many ids": {llm.Prompt{IDs: make([]int32, 5000)}, llm.TooLong},
	} {
		req := request()
		req.Prompt = &c.prompt
		_, err := m.Start(context.Background(), req)
		var e *llm.Error
		if !errors.As(err, &e) || e.Kind != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The usual length gives way to the context, the length asked for does not.
func TestTheUsualLengthGivesWay(t *testing.T) {
	var got []int
	m := newModel(t, "", scripted.Config{Script: func(r *llm.Request, _ int) []scripted.Step {
		got = append(got, r.Sampling.MaxTokens)
		return nil
	}})
	m.MaxContext = 64
	for _, c := range []struct{ usual, asked, want int }{{0, 0, 62}, {16, 0, 16}, {128, 0, 62}, {16, 20, 20}} {
		req := request()
		req.Prompt, req.UsualTokens, req.Sampling.MaxTokens = &llm.Prompt{IDs: []int32{1, 2}}, c.usual, c.asked
		run(t, m, req)
		if n := got[len(got)-1]; n != c.want {
			t.Errorf("usual %d, asked %d: %d tokens", c.usual, c.asked, n)
		}
	}
}

func TestTextsBecomeTokensAndTokensText(t *testing.T) {
	m := newModel(t, "", scripted.Config{})
	const text = "é 日本 <|im_end|> 😀"
	ids, err := m.Tokens(text, true)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(ids, imEnd) || len(m.TokenNames(ids)) != len(ids) || !slices.Contains(m.TokenNames(ids), "<|im_end|>") {
		t.Errorf("%v %q", ids, m.TokenNames(ids))
	}
	for drop, want := range map[bool]string{false: text, true: "é 日本  😀"} {
		if got, err := m.Text(ids, drop); got != want || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if _, err := m.Text([]int32{-5}, false); llm.KindOf(err) != llm.Invalid {
		t.Errorf("an id that is none: %v", err)
	}
}
