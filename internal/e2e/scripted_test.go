package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"
	"time"

	"github.com/reasond/reasond/api/reasoning"
	_ "github.com/reasond/reasond/api/reasoning/builtin"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/remote"
	"github.com/reasond/reasond/internal/server"
)

// scripted is an upstream's answer to one message.
type scripted struct {
	raw    string
	finish string
}

// promptTokens is what the scripted upstream says that every prompt has.
const promptTokens = 7

// startUpstream starts a server that answers a chat by its last message's text,
// as a stream with one character an event, each of which it counts as a token.
// What it was asked goes to seen, which may be called by many at once.
func startUpstream(t *testing.T, answers map[string]scripted, seen func(ask string, body map[string]json.RawMessage)) *httptest.Server {
	t.Helper()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]json.RawMessage
		var messages []struct{ Role, Content string }
		if json.NewDecoder(r.Body).Decode(&body) != nil || json.Unmarshal(body["messages"], &messages) != nil || len(messages) == 0 {
			http.Error(w, "no chat", http.StatusBadRequest)
			return
		}
		ask := messages[len(messages)-1].Content
		answer, known := answers[ask]
		if !known || string(body["stream"]) != "true" {
			http.Error(w, "nothing is written down for this", http.StatusBadRequest)
			return
		}
		seen(ask, body)
		w.Header().Set("Content-Type", "text/event-stream")
		writeScript(w, answer)
	}))
	t.Cleanup(up.Close)
	return up
}

func writeScript(w http.ResponseWriter, a scripted) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	event := func(v any) {
		b.Reset()
		b.WriteString("data: ")
		_ = enc.Encode(v) // our own types; what cannot be written is a client that left
		b.WriteByte('\n')
		_, _ = w.Write(b.Bytes())
		w.(http.Flusher).Flush()
	}
	type object = map[string]any
	choice := func(delta object, finish any) object {
		return object{"choices": []object{{"index": 0, "delta": delta, "finish_reason": finish}}}
	}
	event(choice(object{"role": "assistant", "content": ""}, nil))
	for _, r := range a.raw {
		event(choice(object{"content": string(r)}, nil))
	}
	event(choice(object{}, a.finish))
	n := len([]rune(a.raw))
	event(object{"choices": []object{}, "usage": object{
		"prompt_tokens": promptTokens, "completion_tokens": n, "total_tokens": promptTokens + n,
	}})
	_, _ = io.WriteString(w, "data: [DONE]\n\n")
}

// bytewise hands out every answer's body byte by byte, so that no character
// and no event comes in one read.
type bytewise struct{ http.RoundTripper }

func (b bytewise) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{iotest.OneByteReader(res.Body), res.Body}
	}
	return res, err
}

// startFront starts a server on a loopback port, in front of an upstream, with
// a model for each registered parser under the parser's name. It returns its
// address with /v1.
func startFront(t *testing.T, upstream string) string {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	var models []*pipeline.Model
	for _, name := range reasoning.Names() {
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		e, err := remote.New(remote.Config{
			BaseURL: upstream, Kind: "reasond", Model: name, Parsing: remote.ParsingRaw, Transport: bytewise{transport},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Close() })
		models = append(models, &pipeline.Model{
			Name: name, Created: time.Now(), Engine: e, Parser: &d, Defaults: llm.UnsetSampling(),
		})
	}
	t.Cleanup(transport.CloseIdleConnections)
	return serveModels(t, models) + "/v1"
}

// serveModels starts a server of models on a loopback port and returns its
// address. Both end with the test.
func serveModels(t *testing.T, models []*pipeline.Model) string {
	t.Helper()
	s, err := server.New(server.Config{Models: models})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended: %v", err)
		}
	})
	return "http://" + l.Addr().String()
}
