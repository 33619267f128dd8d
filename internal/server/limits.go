package server

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

// jsonOnly refuses bodies that a web page could send without asking (text/plain,
// forms, no type at all).
func (s *Server) jsonOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || kind != "application/json" && !(strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json")) {
			w.Header().Set("Accept", "application/json")
			s.fail(w, r, failf(http.StatusUnsupportedMediaType, "unsupported_media_type", "the body must be application/json"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// readBody reads the body within its limits of bytes and time. A body declared
// too long is refused unread.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := failf(http.StatusRequestEntityTooLarge, "body_too_large", "the body is larger than this server accepts")
	if r.ContentLength > s.cfg.MaxBody {
		w.Header().Set("Connection", "close")
		return nil, tooLarge
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, failf(http.StatusUnsupportedMediaType, "unsupported_content_encoding", "an encoded body is not accepted")
	}
	x := exchangeOf(r.Context())
	_ = x.w.control.SetReadDeadline(time.Now().Add(s.cfg.BodyTimeout))
	body, err := io.ReadAll(&metered{http.MaxBytesReader(w, r.Body, s.cfg.MaxBody), s, x})
	var limit *http.MaxBytesError
	switch {
	case err == nil:
		// What follows is watching for the client to go, without a limit.
		_ = x.w.control.SetReadDeadline(time.Time{})
		return body, nil
	case errors.As(err, &limit):
		return nil, tooLarge
	case errors.Is(err, errFull):
		return nil, errFull
	}
	w.Header().Set("Connection", "close")
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, failf(http.StatusRequestTimeout, "body_timeout", "the body took too long to arrive")
	}
	return nil, failf(http.StatusBadRequest, "incomplete_body", "the body could not be read to its end")
}

// metered counts what bodies hold in memory, as it arrives: who declares much
// and sends little takes nothing from others.
type metered struct {
	body io.Reader
	s    *Server
	x    *exchange
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.body.Read(p)
	m.x.held += int64(n)
	if m.s.bodies.Add(int64(n)) > m.s.cfg.MaxBodies {
		return n, errFull
	}
	return n, err
}

func (s *Server) forgetBody(x *exchange) {
	s.bodies.Add(-x.held)
	x.held = 0
}

// methodNotAllowed lists what the path does accept.
func (s *Server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	routes := chi.RouteContext(r.Context()).Routes
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
		if routes.Match(chi.NewRouteContext(), method, r.URL.Path) {
			w.Header().Add("Allow", method)
		}
	}
	s.fail(w, r, failf(http.StatusMethodNotAllowed, "method_not_allowed", "this path does not accept this method"))
}
