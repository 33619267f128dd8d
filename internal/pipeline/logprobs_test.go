package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/toolcall"
)

// told is what a choice's events say of it.
type told struct {
	reasoning, content string
	thought, said      []llm.TextLogprob
	ids                []int32
	prompts            []llm.Event
}

// listen runs one choice to its end.
func listen(t *testing.T, m *pipeline.Model, req *pipeline.Request) told {
	t.Helper()
	r, err := m.Start(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all told
	for {
		events, err := r.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			switch e.Kind {
			case llm.EventReasoning:
				all.reasoning += e.Text
			case llm.EventContent:
				all.content += e.Text
			case llm.EventPrompt:
				all.prompts = append(all.prompts, e)
				all.ids = append(all.ids, e.IDs...)
				continue
			}
			all.said, all.thought, all.ids = append(all.said, e.Logprobs...), append(all.thought, e.ThoughtLogprobs...), append(all.ids, e.IDs...)
		}
	}
}

// joins checks that tokens make a text: each once, in order, none of them more
// than it is. Token i was sampled with the log-probability -i.
func joins(t *testing.T, what, text string, listed []llm.TextLogprob, tokens [][]byte) {
	t.Helper()
	var b strings.Builder
	last := -1
	for _, p := range listed {
		i := int(-p.Logprob)
		if i <= last || i >= len(tokens) || !within(tokens[i], p.Bytes) {
			t.Fatalf("%s: token %d with %q is listed after %d; the tokens are %q", what, i, p.Bytes, last, tokens)
		}
		last = i
		b.Write(p.Bytes)
	}
	if b.String() != text {
		t.Fatalf("%s: %q\ntokens have %q\nof %q", what, text, b.String(), tokens)
	}
}

// within reports whether a token has bytes, in their order; a marker may have taken
// some from their midst.
func within(token, some []byte) bool {
	for _, b := range token {
		if len(some) > 0 && some[0] == b {
			some = some[1:]
		}
	}
	return len(some) == 0
}

// written are answers of several families, with calls, markers in a row, white
// space that parsers trim, and characters of several bytes.
var written = []struct{ parser, text string }{
	{"deepseek-r1", "<think>\nLet me see: 日本 🍓.\n</think>\n\nIt is STOP here, or n\u00f6t 🎈."},
	{"deepseek-r1", "no block ends, 日本"},
	{"qwen3", "<think>\n\n</think>\n\nAt once: ÄÖÜ."},
	{"qwen3", "<think>wait 🍓</think>I call.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"日\"}}\n</tool_call>\nDone STO"},
	{"gpt-oss", "<|channel|>analysis<|message|>Need it 🍓.<|end|><|start|>assistant<|channel|>final<|message|>It is STOP höre."},
	{"gpt-oss", "<|channel|>analysis<|message|>Need it.<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\":1}<|call|>"},
	{"", "plain 日本 text, STOP"},
}

// aligned runs an answer that was cut into tokens anywhere, bytes of characters
// apart, and checks that the log-probabilities add up to both texts.
func aligned(t *testing.T, r *rand.Rand, parser, text string) {
	var tokens [][]byte
	var deltas []llm.Delta
	for rest := []byte(text); len(rest) > 0; {
		var d llm.Delta
		for k := 1 + r.IntN(3); k > 0 && len(rest) > 0; k-- {
			n := min(1+r.IntN(9), len(rest))
			p := llm.TokenLogprob{ID: -1, Text: string(rest[:n]), Logprob: -float32(len(tokens))}
			d.Text, d.Logprobs = d.Text+p.Text, append(d.Logprobs, llm.Logprobs{TokenLogprob: p})
			tokens, rest = append(tokens, rest[:n]), rest[n:]
		}
		d.Tokens = len(d.Logprobs)
		deltas = append(deltas, d)
	}
	deltas = append(deltas, llm.Delta{Finish: &llm.Finish{Reason: llm.FinishStop, StopID: -1}})
	m := &pipeline.Model{Engine: &split{Engine: scripted.New(scripted.Config{}), deltas: deltas}}
	if parser != "" {
		d, err := reasoning.Lookup(parser)
		if err != nil {
			t.Fatal(err)
		}
		m.Parser = &d
	}
	req := request()
	if r.IntN(2) == 0 {
		d, err := toolcall.Lookup("hermes")
		if err != nil {
			t.Fatal(err)
		}
		m.Tools, req.Chat.Tools = d, json.RawMessage(`[{"type":"function","function":{"name":"f"}}]`)
	}
	if r.IntN(2) == 0 {
		req.Stop = []string{"STOP", "日本 t"}
	}
	coin := func() bool { return r.IntN(4) == 0 }
	req.Sampling.Logprobs, req.ReasoningLogprobs = true, true
	req.IncludeStop, req.RawContent, req.SeparateReasoning, req.StreamReasoning = coin(), coin(), !coin(), !coin()
	req.DropReasoning, req.NoParser = coin(), coin()
	got := listen(t, m, req)
	joins(t, "content", got.content, got.said, tokens)
	joins(t, "reasoning", got.reasoning, got.thought, tokens)
}

func TestLogprobsAddUpToTheTexts(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 4))
	for range 600 {
		for _, w := range written {
			aligned(t, r, w.parser, w.text)
		}
	}
}

func FuzzLogprobs(f *testing.F) {
	for i, w := range written {
		f.Add(uint64(i), w.parser, w.text)
	}
	f.Add(uint64(5), "gptoss", strings.Repeat("0", 35)+"<|end|>"+strings.Repeat("0", 40)) // a marker within a token
	f.Fuzz(func(t *testing.T, seed uint64, parser, text string) {
		if _, err := reasoning.Lookup(parser); err != nil && parser != "" || !utf8.ValidString(text) {
			t.Skip()
		}
		aligned(t, rand.New(rand.NewPCG(seed, 0)), parser, text)
	})
}

// local is an engine that gives the tokens it is told to, with their
// log-probabilities, and those of the prompt.
type local struct {
	split
	ids []int32
}

func (l *local) Caps() llm.Caps {
	return llm.Caps{IDs: true, Logprobs: true, PromptLogprobs: true, OutputIDs: true}
}

func (l *local) Submit(ctx context.Context, req *llm.Request) (llm.Stream, error) {
	l.deltas = nil
	if req.PromptLogprobs != nil {
		scores := []llm.PromptLogprob{}
		for i, id := range req.Prompt.IDs[1:] {
			s := llm.PromptLogprob{Rank: i + 2}
			s.ID, s.Logprob = id, -float32(i+1)
			for range *req.PromptLogprobs {
				s.Top = append(s.Top, llm.TokenLogprob{ID: id})
			}
			scores = append(scores, s)
		}
		l.deltas = append(l.deltas, llm.Delta{Prompt: scores})
	}
	for i, id := range l.ids {
		p := llm.Logprobs{TokenLogprob: llm.TokenLogprob{ID: id, Logprob: -float32(i)}}
		l.deltas = append(l.deltas, llm.Delta{IDs: l.ids[i : i+1], Logprobs: []llm.Logprobs{p}})
	}
	l.deltas = append(l.deltas, llm.Delta{IDs: []int32{imEnd}, Logprobs: []llm.Logprobs{{}}, Finish: &llm.Finish{Reason: llm.FinishStop, StopID: imEnd}})
	return l.split.Submit(ctx, req)
}

// spell are the ids of a text, byte by byte, control tokens between some words.
func spell(r *rand.Rand, m *pipeline.Model, text string) []int32 {
	v := m.Tokenizer.Vocab()
	var single [256]int32
	for id := range int32(v.Size()) {
		if b := v.Bytes(id); len(b) == 1 && !v.IsControl(id) {
			single[b[0]] = id
		}
	}
	var ids []int32
	for i, b := range []byte(text) {
		if i > 0 && text[i-1] == ' ' && r.IntN(2) == 0 {
			ids = append(ids, imEnd)
		}
		ids = append(ids, single[b])
	}
	return ids
}

// TestTokensOfAVocabularyAddUp: with a local engine's ids, byte by byte, control
// tokens left out of the content, and every id handed out once.
func TestTokensOfAVocabularyAddUp(t *testing.T) {
	m := newModel(t, "qwen3", scripted.Config{})
	r := rand.New(rand.NewPCG(3, 1))
	for range 200 {
		engine := &local{split: split{Engine: scripted.New(scripted.Config{})}, ids: spell(r, m, thoughtful)}
		m.Engine = engine
		req := request()
		req.Sampling.Logprobs, req.ReasoningLogprobs, req.TokenIDs = true, true, true
		req.KeepSpecial = r.IntN(2) == 0
		if r.IntN(2) == 0 {
			req.Stop = []string{"STOP"}
		}
		got := listen(t, m, req)
		var tokens [][]byte
		for _, id := range engine.ids {
			tokens = append(tokens, m.Tokenizer.Vocab().Bytes(id))
		}
		joins(t, "content", got.content, got.said, tokens)
		joins(t, "reasoning", got.reasoning, got.thought, tokens)
		if got.reasoning == "" || got.content == "" {
			t.Fatalf("there is nothing to join: %+v", got)
		}
		all := append(slices.Clone(engine.ids), imEnd)
		if req.Stop != nil {
			all = all[:len(got.ids)]
		}
		if !slices.Equal(got.ids, all) {
			t.Fatalf("ids %v of %v", got.ids, all)
		}
		if len(got.prompts) != 1 || got.prompts[0].Text != "" || len(got.prompts[0].Prompt.IDs) == 0 || got.prompts[0].Prompt.Logprobs != nil {
			t.Fatalf("the prompt's event is %+v", got.prompts)
		}
	}
}

// TestAnEchoIsThePromptWithItsLogprobs: text and tokens agree, the first token
// has none, and the prompt's own log-probabilities have as many alternatives as
// they were asked for.
func TestAnEchoIsThePromptWithItsLogprobs(t *testing.T) {
	m := newModel(t, "", scripted.Config{})
	m.Engine = &local{split: split{Engine: scripted.New(scripted.Config{})}, ids: answer(t, m, "ja")}
	for _, text := range []string{"höre 🍓 <|im_end|>zu", "a"} {
		for _, byIDs := range []bool{false, true} {
			req := request()
			req.Prompt = &llm.Prompt{Text: text}
			if byIDs {
				req.Prompt = &llm.Prompt{IDs: answer(t, m, text)}
			}
			one := 1
			req.NoParser, req.Echo, req.PromptLogprobs = true, true, &one
			req.Sampling.Logprobs, req.Sampling.TopLogprobs = true, 3
			got := listen(t, m, req)
			if len(got.prompts) != 1 || got.prompts[0].Text != text || got.content != "ja" {
				t.Fatalf("%q: %+v", text, got)
			}
			e := got.prompts[0]
			var b strings.Builder
			for i, p := range e.Logprobs {
				b.Write(p.Bytes)
				q := e.Prompt.Logprobs[i]
				if i == 0 != (p.Logprob != p.Logprob) || i > 0 && (len(p.Top) != 3 || len(q.Top) != 1 || q.Rank != i+1 || q.Logprob != -float32(i)) {
					t.Errorf("%q: token %d is %+v, %+v", text, i, p, q)
				}
			}
			if b.String() != text || len(e.Prompt.Logprobs) != len(e.Logprobs) {
				t.Errorf("%q: tokens have %q", text, b.String())
			}
		}
	}
}

// TestWhatAnEngineCannotSayIsRefused by the name of the field.
func TestWhatAnEngineCannotSayIsRefused(t *testing.T) {
	zero := 0
	for field, ask := range map[string]func(*pipeline.Request){
		"prompt_logprobs":  func(r *pipeline.Request) { r.PromptLogprobs = &zero },
		"logprobs":         func(r *pipeline.Request) { r.Sampling.Logprobs = true },
		"return_token_ids": func(r *pipeline.Request) { r.TokenIDs = true },
		"echo":             func(r *pipeline.Request) { r.Echo, r.Sampling.Logprobs = true, true },
	} {
		m := newModel(t, "", scripted.Config{Script: scripted.IDs(nil), Caps: llm.Caps{IDs: true, Logprobs: field == "echo"}})
		req := request()
		ask(req)
		_, err := m.Start(context.Background(), req)
		var e *llm.Error
		if !errors.As(err, &e) || e.Kind != llm.Unsupported || e.Param != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
