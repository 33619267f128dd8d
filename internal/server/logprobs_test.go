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
	if c := (chatShape{}).choice(e); c.Logprobs == nil || len(c.Logprobs.Content) != 1 {
		t.Errorf("the chunk has %+v", c.Logprobs)
	}
	var r reply
	for range 2 {
		if err := (&chat{}).fold(&r, e); err != nil {
			t.Fatal(err)
		}
	}
	if c := r.choice(0, BothFields); c.Logprobs == nil || len(c.Logprobs.Content) != 2 {
		t.Errorf("the answer has %+v", c.Logprobs)
	}
}
