package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
)

func hashKeys(keys []string) [][32]byte {
	var sums [][32]byte
	for _, key := range keys {
		sums = append(sums, sha256.Sum256([]byte(key)))
	}
	return sums
}

// authenticate answers the open routes itself and lets everything else, known
// or not, pass to the router only with a key. It looks at the path that net/http
// parsed, whole and unescaped, and never at a URL made from the Host header.
func (s *Server) authenticate(open map[string]http.HandlerFunc, router http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchangeOf(r.Context())
		if h, ok := open[r.URL.Path]; ok && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			x.route = r.URL.Path
			h(w, r)
			return
		}
		public := r.URL.RawPath == "" && slices.Contains(s.cfg.PublicPaths, r.URL.Path)
		if len(s.keys) > 0 {
			tenant, ok := s.checkKey(keyFields(r.Header))
			if !ok && !public {
				s.fail(w, r, failf(http.StatusUnauthorized, "invalid_api_key", "a valid API key is needed: Authorization: Bearer KEY"))
				return
			}
			x.tenant = tenant
		}
		router.ServeHTTP(w, r)
	})
}

// keyFields are the request's Authorization fields; a key in X-Api-Key, where
// Anthropic's clients put it, counts as one.
func keyFields(h http.Header) []string {
	fields := h.Values("Authorization")
	for _, key := range h.Values("X-Api-Key") {
		if field := "Bearer " + key; !slices.Contains(fields, field) {
			fields = append(slices.Clip(fields), field)
		}
	}
	return fields
}

// checkKey accepts exactly one Authorization field of the Bearer scheme. The key
// is compared by its hash, in constant time, with every key there is. tenant
// stands for the key wherever requests are kept apart.
func (s *Server) checkKey(fields []string) (tenant string, ok bool) {
	if len(fields) != 1 {
		return "", false
	}
	scheme, key, found := strings.Cut(fields[0], " ")
	if !found || !strings.EqualFold(scheme, "bearer") {
		return "", false
	}
	sum := sha256.Sum256([]byte(key))
	match := 0
	for i := range s.keys {
		match |= subtle.ConstantTimeCompare(sum[:], s.keys[i][:])
	}
	if match == 0 {
		return "", false
	}
	id := sha256.Sum256(append([]byte("tenant\x00"), sum[:]...))
	return hex.EncodeToString(id[:16]), true
}
