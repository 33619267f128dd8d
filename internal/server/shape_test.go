package server

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

var (
	anyID      = regexp.MustCompile(`"id":"chatcmpl-[A-Z2-7]{26}"`)
	anyTextID  = regexp.MustCompile(`"id":"cmpl-[A-Z2-7]{26}"`)
	anyCreated = regexp.MustCompile(`"created":[0-9]{10}\b`)
)

// golden compares bytes with a file written by hand, after what changes from
// run to run has been masked.
func golden(t *testing.T, file, got string) {
	t.Helper()
	got = masked(anyID.ReplaceAllString(got, `"id":"chatcmpl-*"`))
	want, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s\n got %s\nwant %s", file, got, want)
	}
}

// The answers' JSON, key by key, in order and with what is null.
func TestAnswersHaveTheirShape(t *testing.T) {
	short := scripted.Config{Script: func(req *llm.Request, choice int) []scripted.Step {
		if choice == 1 {
			return tokens(t, "<think>only thoughts")
		}
		return tokens(t, "<think>é</think>42 <b>")
	}, End: llm.Finish{Reason: llm.FinishStop, StopID: 1273, Cached: 3}}
	f := begin(t, Config{}, short)
	golden(t, "answer.json", f.chat(t, ask(`"n":2`)).body+"\n")
	golden(t, "answer-stop.json", f.chat(t, ask(`"stop":["2 <"]`)).body+"\n")
	golden(t, "stream.txt", f.chat(t, ask(`"stream":true`, `"stream_options":{"include_usage":true}`)).body)
	golden(t, "models.json", f.do(t, "GET", "/v1/models", "").body+"\n")
	golden(t, "error.json", f.chat(t, ask(`"n":0`)).body+"\n")
}

// Both forms of an answer say the same.
func TestStreamAndWholeAnswerAgree(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	for _, more := range []string{`"n":1`, `"n":3`, `"stop":["42"]`, `"stop":["no more."],"include_stop_str_in_output":true`,
		`"separate_reasoning":false`, `"stream_reasoning":false`, `"max_tokens":4`} {
		got := f.streamChat(t, ask(more, `"stream":true`, `"stream_options":{"include_usage":true}`))
		plain := f.chat(t, ask(more))
		n := max(1, strings.Count(plain.body, `"index":`))
		if err := got.whole(n); err != nil {
			t.Errorf("%s: %v", more, err)
			continue
		}
		if want := foldStream(got, n); want != withoutIDs(plain.body) {
			t.Errorf("%s\nstream %s\nwhole  %s", more, want, withoutIDs(plain.body))
		}
	}
}

func TestStreamReasoningFalseSendsOneReasoningChunk(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	for _, c := range []struct {
		more string
		many bool
	}{{`"stream_reasoning":false`, false}, {`"stream_reasoning":true`, true}} {
		body := f.chat(t, ask(c.more, `"stream":true`)).body
		if n := strings.Count(body, `"reasoning_content":"`); n != 1 && !c.many || n < 2 && c.many {
			t.Errorf("%s: %d reasoning chunks", c.more, n)
		}
	}
}
