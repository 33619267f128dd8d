package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

// exchange is one request and its answer, for whoever on the way has something
// to note. It is used by the request's goroutine only.
type exchange struct {
	w      *writer
	out    []byte   // messages of a stream that wait for push, behind chunkRoom
	tongue *dialect // nil: OpenAI's
	id     string   // of the request; X-Request-Id
	tenant string   // a hash of the API key, "" without keys
	route  string   // the pattern that matched
	err    error    // what it failed with
	failed int      // and the status of that, also where another had been sent before
	held   int64    // bytes of the body, counted in Server.bodies
	attrs  []slog.Attr
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// note adds to the request's log line.
func (x *exchange) note(attrs ...slog.Attr) { x.attrs = append(x.attrs, attrs...) }

// exchange is the outermost wrapper: it gives the request its id, a writer with
// deadlines, one log line and its place in the metrics, and contains panics.
func (s *Server) exchange(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		start := time.Now()
		x := &exchange{id: requestID(r.Header), route: "none", w: newWriter(rw, chunksTo(r), s.cfg.WriteTimeout)}
		r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
		if len(r.TransferEncoding) > 0 {
			// Where a length stood beside the chunks net/http has dropped it. A proxy
			// before us may have gone by it, so that what follows on this connection
			// is in doubt (RFC 9112, 6.1).
			x.w.Header().Set("Connection", "close")
		}
		ended := s.metrics.HTTPStarted()
		x.w.Header().Set("X-Request-Id", x.id)
		x.w.Header().Set("X-Content-Type-Options", "nosniff")
		defer func() {
			if x.w.status == 0 && x.failed == 0 {
				x.w.status = http.StatusOK
			}
			ended(x.route, x.code())
			s.logRequest(r, x, time.Since(start))
		}()
		defer s.contain(x.w, r)
		next.ServeHTTP(x.w, r)
	})
}

// code is the outcome: the error's status, or else what was sent.
func (x *exchange) code() int {
	if x.failed != 0 {
		return x.failed
	}
	return x.w.status
}

// contain turns a panic into that request's failure. The stack goes to the log.
func (s *Server) contain(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	x := exchangeOf(r.Context())
	s.log.Error("panic", "id", x.id, "panic", clip(fmt.Sprint(p), 256), "stack", clip(string(debug.Stack()), 2048))
	s.fail(w, r, errors.New("panic"))
}

// noteRoute records the pattern that the router chose.
func (s *Server) noteRoute(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if pattern := chi.RouteContext(r.Context()).RoutePattern(); pattern != "" {
				exchangeOf(r.Context()).route = pattern
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// requestID is the client's X-Request-Id if it is harmless, else a new one.
func requestID(h http.Header) string {
	id := h.Get("X-Request-Id")
	if id == "" || len(id) > 128 || strings.IndexFunc(id, notIDRune) >= 0 {
		return "req-" + rand.Text()
	}
	return id
}

func notIDRune(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:", r))
}
