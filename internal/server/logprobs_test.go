package server

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/reasond/reasond/internal/llm"
)

func TestLogprobsHaveOpenAIsShape(t *testing.T) {
	tokens := []llm.TextLogprob{
		{Bytes: []byte("é"), Logprob: -0.5, Top: []llm.TextLogprob{{Bytes: []byte("é"), Logprob: -0.5}, {Bytes: []byte{0xc3}, Logprob: float32(math.Inf(-1))}}},
		{Bytes: []byte("<"), Logprob: -1},
	}
	const want = `{"content":[{"token":"é","logprob":-0.5,"bytes":[195,169],"top_logprobs":[` +
		`{"token":"é","logprob":-0.5,"bytes":[195,169]},{"token":"\ufffd","logprob":-9999,"bytes":[195]}]},` +
		`{"token":"<","logprob":-1,"bytes":[60],"top_logprobs":[]}],"refusal":null}`
	got, err := marshal(wireLogprobs(tokens))
	var a, b any
	if err != nil || json.Unmarshal(got, &a) != nil || json.Unmarshal([]byte(want), &b) != nil {
		t.Fatal(err, string(got))
	}
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	if string(x) != string(y) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if wireLogprobs(nil) != nil {
		t.Error("logprobs that nobody asked for")
	}
}

func TestLogprobsComeWithTheChunksThatShowThem(t *testing.T) {
	e := llm.Event{Kind: llm.EventContent, Text: "a", Logprobs: []llm.TextLogprob{{Bytes: []byte("a"), Logprob: -1}}}
	if c := (&chatShape{}).choice(&e); c.Logprobs == nil || len(c.Logprobs.Content) != 1 {
		t.Errorf("the chunk has %+v", c.Logprobs)
	}
	var r reply
	for range 2 {
		if err := (&chat{}).fold(&r, &e); err != nil {
			t.Fatal(err)
		}
	}
	if c := r.choice(0, BothFields); c.Logprobs == nil || len(c.Logprobs.Content) != 2 {
		t.Errorf("the answer has %+v", c.Logprobs)
	}
}

// A completion's tokens as OpenAI's legacy endpoint has them: places in
// characters, bytes of a character by their values, null for what begins a text.
func TestACompletionsLogprobsHaveTheLegacyShape(t *testing.T) {
	place := textPlace{}
	got, err := marshal([]any{
		place.logprobs([]llm.TextLogprob{{Bytes: []byte("a日"), Logprob: float32(math.NaN())}, {Bytes: []byte{0xc3}, Logprob: -1}}),
		place.logprobs([]llm.TextLogprob{{Bytes: []byte{0xb6}, Logprob: -2, Top: []llm.TextLogprob{{Bytes: []byte("x"), Logprob: -0.5}, {Bytes: []byte("x"), Logprob: -3}}}, {Bytes: []byte("z"), Logprob: float32(math.Inf(-1))}}),
		place.logprobs(nil),
	})
	const want = `[{"text_offset":[0,2],"token_logprobs":[null,-1],"tokens":["a日","bytes:\\xc3"],"top_logprobs":[null,{"bytes:\\xc3":-1}]},` +
		`{"text_offset":[2,3],"token_logprobs":[-2,-9999],"tokens":["bytes:\\xb6","z"],"top_logprobs":[{"bytes:\\xb6":-2,"x":-0.5},{"z":-9999}]},null]`
	if err != nil || string(got) != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
}

func TestAPromptsLogprobsHaveVLLMsShape(t *testing.T) {
	got, err := marshal(wirePrompt([]llm.PromptTextLogprob{
		{TextLogprob: llm.TextLogprob{ID: 5, Bytes: []byte("<s>"), Logprob: float32(math.NaN())}},
		{TextLogprob: llm.TextLogprob{ID: 7, Bytes: []byte{0xff}, Logprob: -4, Top: []llm.TextLogprob{{ID: 9, Bytes: []byte("é"), Logprob: -0.5}}}, Rank: 3},
	}))
	const want = `[null,{"7":{"logprob":-4,"rank":3,"decoded_token":"` + "\uFFFD" + `"},"9":{"logprob":-0.5,"rank":1,"decoded_token":"é"}}]`
	if err != nil || string(got) != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
}
