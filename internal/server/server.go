// Package server is where HTTP ends. routes.go holds the whole route table;
// each endpoint has its file. A request passes, from the outside in: exchange
// (id, log line, metrics, panics) → host check → auth → router → gate (drain,
// bound of requests at once) → body limits → the endpoint. errors.go alone turns
// errors into statuses and bodies.
//
// The package knows the OpenAI dialect and the pipeline; it knows no template,
// no tokenizer and no engine.
package server

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reasond/reasond/internal/metrics"
	"github.com/reasond/reasond/internal/pipeline"
)

// Config is what a server is made of. Zero limits mean the defaults given.
type Config struct {
	Models       []*pipeline.Model // the first also answers to "default"; none: the server is loading until Open
	AnyModelName bool              // every model name means the first model
	APIKeys      []string          // none: no key is asked for
	PublicPaths  []string          // exact paths that need no key, beside /healthz and /readyz
	AllowedHosts []string          // Host names accepted; none: loopback names on loopback listeners, any elsewhere
	Version      string            // what /version says
	Logger       *slog.Logger      // nil: no logs
	Reasoning    Reasoning         // of chats that do not say
	Compat       []string          // servers under whose names /metrics has its figures too, of metrics.Compat

	MaxBody        int64         // bytes of a request's body; 8 MiB
	MaxBodies      int64         // bytes of all bodies held at once; 512 MiB
	MaxRequests    int           // generations at once, those in the engine's queue included; 4096
	MaxConnections int           // per listener; further ones wait to be accepted; 16384
	HeaderTimeout  time.Duration // to read a request's header; 10 s
	BodyTimeout    time.Duration // to read a request's body; 20 s
	IdleTimeout    time.Duration // between two requests of a connection; 30 s
	WriteTimeout   time.Duration // for a client to take each write; 30 s
	KeepAlive      time.Duration // a stream is never silent for longer; 15 s

	MaxResponses     int // of /v1/responses that are kept; each API key has its even share; 8192
	MaxResponseBytes int // that these hold, about; 256 MiB
}

// MaxHeaderBytes bounds a request's header. net/http adds 4 KiB of slack.
const MaxHeaderBytes = 60 << 10

func (c *Config) validate() error {
	for _, key := range c.APIKeys {
		if key == "" {
			return errors.New("server: an API key is empty")
		}
	}
	for _, path := range c.PublicPaths {
		if path == "" || path[0] != '/' {
			return fmt.Errorf("server: public path %q does not begin with /", path)
		}
	}
	return c.Reasoning.Field.validate()
}

func (c *Config) setDefaults() {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.HeaderTimeout, 10*time.Second)
	def(&c.BodyTimeout, 20*time.Second)
	def(&c.IdleTimeout, 30*time.Second)
	def(&c.WriteTimeout, 30*time.Second)
	def(&c.KeepAlive, 15*time.Second)
	if c.MaxBody == 0 {
		c.MaxBody = 8 << 20
	}
	if c.MaxBodies == 0 {
		c.MaxBodies = 512 << 20
	}
	if c.MaxRequests == 0 {
		c.MaxRequests = 4096
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 16384
	}
	if c.MaxResponses == 0 {
		c.MaxResponses = 8192
	}
	if c.MaxResponseBytes == 0 {
		c.MaxResponseBytes = 256 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Server answers HTTP requests for its models. It owns no engine: close those
// after Serve has returned.
type Server struct {
	cfg      Config
	log      *slog.Logger
	metrics  *metrics.Metrics
	models   atomic.Pointer[catalogue] // nil while the models are being loaded
	loading  atomic.Pointer[loadState] // until then
	keys     [][32]byte                // SHA-256 of each API key
	hosts    map[string]bool
	gate     *gate
	bodies   atomic.Int64  // bytes of bodies held
	live     live          // chats whose thoughts may be ended
	starting chan struct{} // holds a value for each request between body and engine
	handler  http.Handler

	responses *responseStore

	mu     sync.Mutex
	fronts []*http.Server
	closed bool
}

// New checks the configuration and builds the server; it listens to nothing.
func New(cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	s := &Server{cfg: cfg, log: cfg.Logger, gate: newGate(cfg.MaxRequests)}
	s.Loading("starting", 0, 0)
	s.starting = make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	s.keys = hashKeys(cfg.APIKeys)
	s.responses = newResponseStore(cfg.MaxResponses, cfg.MaxResponseBytes, len(cfg.APIKeys))
	s.hosts = hostSet(cfg.AllowedHosts)
	if len(cfg.Models) > 0 {
		if err := s.Open(cfg.Models...); err != nil {
			return nil, err
		}
	}
	var err error
	if s.metrics, err = metrics.New(cfg.Version, s.engines, cfg.Compat...); err != nil {
		return nil, err
	}
	s.handler = s.routes()
	return s, nil
}

// Handler is the whole chain, for tests and for embedding.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve answers requests from l until Drain or Close, and then returns nil. The
// end of ctx closes the server. It may be called for several listeners.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	limited := limitConnections(l, s.cfg.MaxConnections)
	front := &http.Server{
		ConnState:         limited.state,
		ConnContext:       withConnection,
		Handler:           s.handler,
		ReadHeaderTimeout: s.cfg.HeaderTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    MaxHeaderBytes,
		// OPTIONS * is a request like any other.
		DisableGeneralOptionsHandler: true,

		ErrorLog:    log.New(connectionLog{s.log}, "", 0),
		BaseContext: func(net.Listener) context.Context { return markLoopback(context.Background(), l.Addr()) },
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.New("server: closed")
	}
	s.fronts = append(s.fronts, front)
	s.mu.Unlock()
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()

	err := front.Serve(limited)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Drain shuts down in order: /readyz and new requests answer 503 at once, what
// runs may finish until ctx ends, the rest gets an error event; then the
// listeners are closed. It returns ctx's error if it had to cut something.
func (s *Server) Drain(ctx context.Context) error {
	s.gate.drain()
	s.log.Info("draining", "running", s.gate.running())
	var cut error
	select {
	case <-s.gate.idle():
	case <-ctx.Done():
		cut = ctx.Err()
		s.log.Warn("drain limit reached", "running", s.gate.running())
		s.gate.stop()
		select {
		case <-s.gate.idle():
		case <-time.After(lastWords):
		}
	}
	polite, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	for _, front := range s.shut() {
		_ = front.Shutdown(polite)
		_ = front.Close()
	}
	return cut
}

// lastWords is how long error events and open connections have after the
// drain limit.
const lastWords = 500 * time.Millisecond

// Close ends everything at once.
func (s *Server) Close() error {
	s.gate.drain()
	s.gate.stop()
	var err error
	for _, front := range s.shut() {
		err = errors.Join(err, front.Close())
	}
	return err
}

// shut marks the server closed and returns what it serves with.
func (s *Server) shut() []*http.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.fronts
}
