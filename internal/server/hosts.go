package server

import (
	"context"
	"net"
	"net/http"
	"strings"
)

type loopbackKey struct{}

// markLoopback notes in a listener's base context that only this machine can
// reach it over IP: then a foreign Host is a web page that had its name
// resolved to us (DNS rebinding).
func markLoopback(ctx context.Context, addr net.Addr) context.Context {
	tcp, ok := addr.(*net.TCPAddr)
	return context.WithValue(ctx, loopbackKey{}, ok && tcp.IP.IsLoopback())
}

func hostSet(names []string) map[string]bool {
	set := map[string]bool{}
	for _, name := range names {
		set[hostName(name)] = true
	}
	return set
}

// checkHost refuses a Host that is not ours: one outside Config.AllowedHosts
// where that is given, on loopback listeners one that is no loopback name.
func (s *Server) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		loopback, _ := r.Context().Value(loopbackKey{}).(bool)
		name := hostName(r.Host)
		ok := s.hosts[name] || loopback && isLoopbackName(name) || !loopback && len(s.hosts) == 0
		if !ok {
			s.fail(w, r, failf(http.StatusForbidden, "host_not_allowed", "this server does not answer to the Host given"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostName is a Host without its port, in lower case.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func isLoopbackName(name string) bool {
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}
