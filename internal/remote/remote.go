// Package remote is an engine whose tokens come from another server: any that
// speaks OpenAI's API, such as vLLM, SGLang, LightLLM, LMDeploy, llama-server
// or Ollama, on one machine or in front of a cluster. It asks for streams of
// raw text with special tokens, the upstream's own reasoning parser switched
// off where there is a switch, and hands deltas to the pipeline as a local
// engine does, under the same law: one Finish a choice, whatever happens.
//
// kind.go is the table of what upstreams differ in, body.go builds a request,
// call.go sends it, reader.go, sse.go and frame.go read the answer, mailbox.go
// is the stream, failure.go gives errors a kind. It knows no parser, no
// template and no tokenizer.
package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reasond/reasond/internal/llm"
)

// Mode says who renders the chat.
type Mode uint8

const (
	// Chat passes messages on: the upstream renders and tokenises.
	Chat Mode = iota
	// Completions sends a prompt that was rendered here, as ids where the kind
	// takes them.
	Completions
)

// Config describes the upstream. Zero durations and sizes mean the default.
type Config struct {
	BaseURL string // http or https; with or without /v1
	Kind    string // one of Kinds
	Model   string // the upstream's name of the model; empty: the first of its list, see Probe
	APIKey  string // sent as a bearer token; empty: none
	Mode    Mode
	Parsing Parsing // whether the upstream splits reasoning; Auto: by kind and what it sends

	MaxContext int     // tokens of prompt and answer; 0: as the upstream says, see Probe
	EOS        []int32 // ids that end an answer, where ids come back

	HeaderWait       time.Duration // how long Submit waits for the upstream to accept; 5 s
	FirstByteTimeout time.Duration // until the upstream answers at all; 10 min
	IdleTimeout      time.Duration // between two signs of life within an answer; 2 min
	TrailerTimeout   time.Duration // for the usage after the last finish; 1 s
	DialTimeout      time.Duration // 5 s
	Retries          int           // further attempts before the first byte; 2, negative: none
	RetryWait        time.Duration // before the first of them, doubled each time; 50 ms
	MaxFrame         int           // bytes of one event; 4 MiB
	MaxUnread        int           // bytes kept for a reader that is behind; 1 MiB

	Transport http.RoundTripper // nil: one of its own
}

func (c *Config) setDefaults() {
	c.HeaderWait = cmp.Or(c.HeaderWait, 5*time.Second)
	c.FirstByteTimeout = cmp.Or(c.FirstByteTimeout, 10*time.Minute)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 2*time.Minute)
	c.TrailerTimeout = cmp.Or(c.TrailerTimeout, time.Second)
	c.DialTimeout = cmp.Or(c.DialTimeout, 5*time.Second)
	c.Retries = max(cmp.Or(c.Retries, 2), 0)
	c.RetryWait = cmp.Or(c.RetryWait, 50*time.Millisecond)
	c.MaxFrame = cmp.Or(c.MaxFrame, 4<<20)
	c.MaxUnread = cmp.Or(c.MaxUnread, 1<<20)
}

// Engine implements pipeline.Engine. It is safe for concurrent use.
type Engine struct {
	cfg      Config
	kind     kind
	endpoint *endpoint
	base     string // without /v1 and without a slash at the end
	path     string // of the endpoint
	client   *http.Client

	model      atomic.Pointer[string]
	maxContext atomic.Int64
	splits     atomic.Bool // the upstream has sent reasoning in a field of its own
	stats      counters

	mu      sync.Mutex
	stopped bool
	streams map[*stream]struct{}
	unwatch context.CancelFunc // ends Watch; nil: it was never called
	wg      sync.WaitGroup
}

// New makes an engine; nothing is sent yet. An error is a sentence for the
// user.
func New(cfg Config) (*Engine, error) {
	cfg.setDefaults()
	k, err := lookup(cfg.Kind)
	if err != nil {
		return nil, err
	}
	base, err := baseURL(cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, kind: k, endpoint: k.chat, base: base, path: "/v1/chat/completions", streams: map[*stream]struct{}{}}
	if cfg.Mode == Completions {
		if k.text == nil {
			return nil, fmt.Errorf("upstream %s: prompts cannot be rendered here: %s", cfg.Kind, k.noText)
		}
		e.endpoint, e.path = k.text, "/v1/completions"
	}
	e.model.Store(&cfg.Model)
	e.maxContext.Store(int64(cfg.MaxContext))
	e.client = &http.Client{Transport: cfg.Transport, CheckRedirect: noRedirect}
	if cfg.Transport == nil {
		e.client.Transport = newTransport(cfg.DialTimeout)
	}
	return e, nil
}

// noRedirect keeps the key with the server that it was meant for.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func newTransport(dial time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: dial, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	return &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 1 << 20,
		DisableCompression: true, // a compressor would hold text back
	}
}

func baseURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("the upstream's URL must look like http://host:port")
	}
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", errors.New("the upstream's URL must have no user, query or fragment")
	}
	return strings.TrimSuffix(strings.TrimRight(u.String(), "/"), "/v1"), nil
}

// Model is the upstream's name of the model.
func (e *Engine) Model() string { return *e.model.Load() }

// Caps says what the upstream takes in this mode.
func (e *Engine) Caps() llm.Caps {
	_, logprobs := e.endpoint.params["logprobs"]
	return llm.Caps{
		Chat: e.cfg.Mode == Chat, Text: e.cfg.Mode == Completions, IDs: e.cfg.Mode == Completions && e.kind.ids,
		Logprobs: logprobs, MaxContext: int(e.maxContext.Load()),
	}
}

// Submit sends the request and waits for the upstream to accept it, but not
// longer than HeaderWait: an upstream that is slow to say no ends the stream
// with that error instead.
func (e *Engine) Submit(ctx context.Context, req *llm.Request) (llm.Stream, error) {
	body, err := e.encode(req)
	if err != nil {
		return nil, err
	}
	inner, cancel := context.WithCancelCause(ctx)
	s := newStream(req.N, cancel)
	if err := e.add(s); err != nil {
		cancel(err)
		return nil, err
	}
	accepted := make(chan error, 1)
	go func() {
		defer e.remove(s)
		defer cancel(errComplete)
		e.follow(ctx, inner, s, req, body, accepted)
	}()
	patience := time.NewTimer(e.cfg.HeaderWait)
	defer patience.Stop()
	select {
	case err = <-accepted:
	case <-patience.C:
	}
	if err != nil {
		return nil, refused(err)
	}
	return s, nil
}

// refused makes a cancelled submission one of the errors that callers know.
func refused(err error) error {
	var known *llm.Error
	if errors.As(err, &known) {
		return err
	}
	return &llm.Error{Kind: llm.Cancelled, Message: "the request was cancelled", Err: err}
}

func (e *Engine) add(s *stream) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return errStopping
	}
	e.streams[s] = struct{}{}
	e.wg.Add(1)
	e.stats.submitted()
	return nil
}

func (e *Engine) remove(s *stream) {
	e.mu.Lock()
	delete(e.streams, s)
	e.mu.Unlock()
	e.wg.Done()
}

// Close ends every stream with FinishAbort and waits.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.stopped = true
	for s := range e.streams {
		s.cancel(errStopping)
	}
	if e.unwatch != nil {
		e.unwatch()
	}
	e.mu.Unlock()
	e.wg.Wait()
	e.client.CloseIdleConnections()
	return nil
}

func (e *Engine) eos(id int32) bool { return slices.Contains(e.cfg.EOS, id) }

// wantsIDs reports whether token ids that come back are of use: only who
// tokenises here has the vocabulary.
func (e *Engine) wantsIDs() bool { return e.cfg.Mode == Completions }

func (e *Engine) sawReasoning() { e.splits.Store(true) }

// contentChannel is what a chat's content is.
func (e *Engine) contentChannel() llm.Channel {
	switch cmp.Or(e.cfg.Parsing, e.kind.parsing) {
	case ParsingSplit:
		return llm.ChannelContent
	case ParsingRaw:
		return llm.ChannelRaw
	}
	if e.splits.Load() {
		return llm.ChannelContent
	}
	return llm.ChannelRaw
}
