package server

import (
	"encoding/json"
	"testing"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/llm"
)

var callPieces = []string{
	`{"index":0,"id":"c0","type":"function","function":{"name":"f","arguments":""}}`,
	`{"index":0,"function":{"arguments":"{\"a\":"}}`,
	`{"index":1,"id":"c1","type":"function","function":{"name":"g","arguments":"{}"}}`,
	`{"index":0,"function":{"arguments":"1}"}}`,
}

func TestPiecesOfCallsBecomeTheCalls(t *testing.T) {
	var r reply
	c := &chat{}
	for _, piece := range callPieces {
		if err := c.fold(&r, &llm.Event{Kind: llm.EventToolCall, Text: piece}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := json.Marshal(r.choice(0, BothFields).Message)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"role":"assistant","content":null,"reasoning_content":null,"reasoning":null,"tool_calls":[` +
		`{"id":"c0","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},` +
		`{"id":"c1","type":"function","function":{"name":"g","arguments":"{}"}}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAStreamPassesCallsOn(t *testing.T) {
	delta, err := json.Marshal((&chatShape{}).choice(&llm.Event{Kind: llm.EventToolCall, Text: callPieces[1]}).Delta)
	if want := `{"role":null,"content":null,"reasoning_content":null,"reasoning":null,"tool_calls":[` + callPieces[1] + `]}`; err != nil || string(delta) != want {
		t.Errorf("got %s, %v, want %s", delta, err, want)
	}
}

func TestACallThatCannotBeReadIsAnError(t *testing.T) {
	for _, piece := range []string{`{"index":-1}`, `{"index":1024}`, `[]`, `{"function":3}`} {
		if _, err := addCall([]openai.ToolCall{}, piece); llm.KindOf(err) != llm.Internal || err == nil {
			t.Errorf("%s: %v", piece, err)
		}
	}
}
