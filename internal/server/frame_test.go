package server

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/reasond/reasond/api/anthropic"
	"github.com/reasond/reasond/api/ollama"
	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/api/responses"
	"github.com/reasond/reasond/internal/llm"
)

// texts are what JSON strings are made difficult with.
var texts = []string{
	"", "plain", `"`, `\`, "a\"b\\c/d", "\x00\x01\x1f\x7f", "\b\f\n\r\t", "<b>&amp;'", "é日本😀", "\u2028\u2029\u2027", "\ufffd",
	"\xff", "a\xc3", "\xe2\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\xaf", strings.Repeat("long \n", 300),
}

// A text is appended as encoding/json writes it.
func FuzzAppendText(f *testing.F) {
	for _, s := range texts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := append(appendText([]byte{'"'}, s), '"'); !bytes.Equal(got, want) {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
	})
}

// A stream's messages in frames are what encoding/json makes of their types.
func FuzzFrames(f *testing.F) {
	for i, s := range texts {
		f.Add(s, "chatcmpl-1", "tiny", uint8(i), texts[(i+1)%len(texts)])
	}
	f.Fuzz(func(t *testing.T, text, id, model string, choice uint8, second string) {
		i := int(choice % 4)
		for _, field := range []Field{BothFields, ReasoningContent, ReasoningField} {
			s := &chatShape{id: id, model: model, created: 7, field: field}
			chunk := openai.ChatCompletionChunk{ID: id, Object: "chat.completion.chunk", Created: 7, Model: model}
			for _, piece := range []string{text, second} {
				content := chunk
				content.Choices = []openai.ChunkChoice{{Index: i, Delta: openai.Delta{Content: &piece}}}
				same(t, s, llm.Event{Choice: i, Kind: llm.EventContent, Text: piece}, content)
				reasoning := chunk
				reasoning.Choices = []openai.ChunkChoice{{Index: i}}
				if field != ReasoningField {
					reasoning.Choices[0].Delta.ReasoningContent = &piece
				}
				if field != ReasoningContent {
					reasoning.Choices[0].Delta.Reasoning = &piece
				}
				same(t, s, llm.Event{Choice: i, Kind: llm.EventReasoning, Text: piece}, reasoning)
			}
		}
		s := &textShape{id: id, model: model, created: 7, places: make([]textPlace, 4), frames: make([]*frame, 4)}
		m := &messageShape{chat: &chat{id: id, model: model}, block: -1}
		for _, piece := range []string{text, second} {
			same(t, s, llm.Event{Choice: i, Kind: llm.EventContent, Text: piece}, openai.Completion{
				ID: id, Object: "text_completion", Created: 7, Model: model, Choices: []openai.TextChoice{{Index: i, Text: piece}},
			})
			delta := anthropic.BlockDelta{Type: "content_block_delta", Index: m.block}
			for range 2 { // the second goes on with a block
				delta.Delta = anthropic.Delta{Type: "thinking_delta", Thinking: &piece}
				delta.Index = max(m.block, 0)
				if m.open == "text" {
					delta.Index++
				}
				same(t, m, llm.Event{Kind: llm.EventReasoning, Text: piece}, delta)
			}
			delta.Index, delta.Delta = delta.Index+1, anthropic.Delta{Type: "text_delta", Text: &piece}
			same(t, m, llm.Event{Kind: llm.EventContent, Text: piece}, delta)
		}
		for _, chatting := range []bool{true, false} {
			o := &ollamaShape{chat: &chat{id: id, model: model}, chatting: chatting}
			for _, piece := range []string{"x" + text, second + "y"} { // no event has an empty text
				answer, thought := &ollama.Chunk{Model: model, Response: &piece}, &ollama.Chunk{Model: model, Response: new(string), Thinking: piece}
				if chatting {
					answer = &ollama.Chunk{Model: model, Message: &ollama.Message{Role: assistant, Content: piece}}
					thought = &ollama.Chunk{Model: model, Message: &ollama.Message{Role: assistant, Thinking: piece}}
				}
				same(t, o, llm.Event{Kind: llm.EventContent, Text: piece}, answer)
				same(t, o, llm.Event{Kind: llm.EventReasoning, Text: piece}, thought)
			}
		}
		r := &responding{chat: &chat{id: id, model: model}, writer: responses.NewWriter(responses.Response{ID: id})}
		for n, piece := range []string{"x" + text, second + "y", second + "z"} {
			for k, kind := range []llm.EventKind{llm.EventReasoning, llm.EventReasoning, llm.EventContent, llm.EventContent} {
				all := r.event(nil, &llm.Event{Kind: kind, Text: piece})
				last := all[len(all)-1]
				e := responses.Event{Type: "response.reasoning_text.delta", Delta: &piece, ContentIndex: new(int), ItemID: r.framed}
				if kind == llm.EventContent {
					e.Type, e.Logprobs = "response.output_text.delta", &[]openai.TokenLogprob{}
				}
				item := 2*n + k/2
				e.OutputIndex = &item
				var err error
				if e.SequenceNumber, err = strconv.Atoi(last.mark); err != nil || last.name != e.Type {
					t.Errorf("%v, %+v", err, last)
				}
				want, err := marshal(e)
				if err != nil {
					t.Fatal(err)
				}
				if got := last.append(nil); !bytes.Equal(got, want) {
					t.Errorf("%q:\n got %s\nwant %s", piece, got, want)
				}
			}
		}
	})
}

// same holds the last message of an event against its body.
func same(t *testing.T, s shape, e llm.Event, body any) {
	t.Helper()
	want, err := marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	all := s.event(nil, &e)
	last := all[len(all)-1]
	if last.frame == nil {
		t.Errorf("%T: an event of text alone is not framed", s)
	}
	if c, ok := body.(*ollama.Chunk); ok {
		at, err := time.Parse(time.RFC3339, last.mark)
		if age := time.Since(at); err != nil || age < 0 || age > time.Minute {
			t.Errorf("%T: made at %q", s, last.mark)
		}
		c.CreatedAt = last.mark
		if want, err = marshal(c); err != nil {
			t.Fatal(err)
		}
	}
	if got := last.append(nil); !bytes.Equal(got, want) {
		t.Errorf("%T, %q:\n got %s\nwant %s", s, e.Text, got, want)
	}
}
