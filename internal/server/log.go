package server

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// logRequest writes the request's one line. It holds no header's and no body's
// text, and each text in it is bounded, so that a line stays under 4 KiB.
func (s *Server) logRequest(r *http.Request, x *exchange, took time.Duration) {
	level := slog.LevelInfo
	switch code := x.code(); {
	case code >= 500 && code != http.StatusServiceUnavailable:
		level = slog.LevelError
	case r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || r.URL.Path == "/metrics":
		level = slog.LevelDebug
	}
	if !s.log.Enabled(r.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("id", x.id),
		slog.String("method", clip(r.Method, 16)),
		slog.String("path", clip(r.URL.Path, 128)),
		slog.Int("status", x.code()),
		slog.Float64("ms", float64(took.Microseconds())/1000),
		slog.String("remote", clip(r.RemoteAddr, 64)),
	}
	if x.err != nil {
		attrs = append(attrs, slog.String("error", clip(x.err.Error(), 256)))
	}
	s.log.LogAttrs(context.WithoutCancel(r.Context()), level, "request", append(attrs, x.attrs...)...)
}

// clip bounds a text for the log.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// connectionLog takes net/http's own messages: connections that broke before a
// request was there.
type connectionLog struct{ log *slog.Logger }

func (c connectionLog) Write(p []byte) (int, error) {
	c.log.Debug("connection", "message", clip(strings.TrimSpace(string(p)), 512))
	return len(p), nil
}
