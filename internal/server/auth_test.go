package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

const key, key2 = "sk-right-key-0123456789", "sk-other"

// Nothing but /healthz and /readyz answers without a key, however it is asked.
func TestOnlyTheKeyOpensTheDoor(t *testing.T) {
	f := begin(t, Config{APIKeys: []string{key, key2}}, scripted.Config{})
	for _, k := range []string{"Bearer " + key, "bearer " + key, "BEARER " + key2} {
		if r := f.do(t, "GET", "/v1/models", "", "Authorization", k); r.status != 200 {
			t.Errorf("%s: %d", k, r.status)
		}
	}
	for _, wrong := range []string{
		"", "Bearer", "Bearer ", "Bearer  " + key, key, "Basic " + key, "Bearer" + key, "Bearer\t" + key, "Bearer " + key + "x", "Bearer x" + key,
		"Bearer " + key[:len(key)-1], "Bearer " + strings.ToUpper(key), "Bearer " + key + " x", "Bearer " + key + "," + key2, "Bearer \"" + key + "\"",
		"Token " + key, "Bearer null", "Bearer undefined", "Bearer *", "Bearer " + strings.Repeat("a", 30_000), "Bearer: " + key,
	} {
		r := f.do(t, "GET", "/v1/models", "", "Authorization", wrong)
		if e := envelope(t, r); r.status != 401 || *e.Code != "invalid_api_key" || r.header.Get("WWW-Authenticate") == "" || strings.Contains(r.body, key[3:9]) {
			t.Errorf("%.60q: %d %s", wrong, r.status, r.body)
		}
	}
	for _, h := range []string{"Api-Key", "Proxy-Authorization", "Cookie", "X-Original-Url", "X-Rewrite-Url", "X-Forwarded-Prefix", "X-Http-Method-Override"} {
		for _, v := range []string{key, "Bearer " + key, "/healthz", "GET"} {
			if r := f.do(t, "GET", "/v1/models", "", h, v); r.status != 401 {
				t.Errorf("%s: %s: %d", h, v, r.status)
			}
		}
	}
}

// Anthropic's clients bring the key in a field of their own. Two keys are none.
func TestAKeyMayComeAsAnthropicsClientsSendIt(t *testing.T) {
	f := begin(t, Config{APIKeys: []string{key}}, scripted.Config{})
	for value, want := range map[string]int{key: 200, "Bearer " + key: 401, key + "x": 401, "": 401, "GET": 401} {
		if r := f.do(t, "GET", "/v1/models", "", "X-Api-Key", value); r.status != want {
			t.Errorf("X-Api-Key %q: %d", value, r.status)
		}
	}
	if r := f.do(t, "GET", "/v1/models", "", "X-Api-Key", key, "Authorization", "Bearer "+key2); r.status != 401 {
		t.Errorf("two keys: %d", r.status)
	}
	if r := f.do(t, "GET", "/v1/models", "", "X-Api-Key", key, "Authorization", "Bearer "+key); r.status != 200 {
		t.Errorf("one key twice: %d", r.status)
	}
}

// Paths and hosts that only look open.
func TestPathTricksNeedTheKeyToo(t *testing.T) {
	f := begin(t, Config{APIKeys: []string{key}, PublicPaths: []string{"/version"}}, scripted.Config{})
	for _, path := range []string{"/healthz", "/readyz", "/version"} {
		if r := f.do(t, "GET", path, ""); r.status != 200 {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	lines := []string{
		"GET /v1/models", "GET /metrics", "GET /health", "GET /", "GET /nowhere", "POST /healthz", "DELETE /readyz", "OPTIONS /v1/models", "OPTIONS *", "HEAD /metrics",
		"GET /healthz/", "GET //healthz", "GET /healthz/../v1/models", "GET /healthz%2f..%2fv1/models", "GET /./healthz", "GET /healthz;/v1/models", "GET /HEALTHZ",
		"GET /v1/models?x=/healthz", "GET /v1/models#/healthz", "GET /healthz%00", "GET /healthz%20", "GET /healthz\\..\\v1\\models", "GET /v1/../healthz",
		"GET http://localhost/v1/models", "GET http://healthz/v1/models", "GET http://localhost/metrics?/healthz", "TRACE /v1/models", "CONNECT localhost:80",
		"GET /version/", "GET /%2fversion", "GET /version%2f", "GET /Version", "POST /version/x", "GET /metrics/../version",
		"GET /debug/pprof/", "GET /debug/vars", "GET /admin", "GET /v1/internal", "POST /update_weights", "POST /pause", "POST /tokenize", "POST /invocations", "GET /server_info", "POST /v1/load_lora_adapter", "GET /.env", "GET /docs",
	}
	for _, line := range lines {
		for _, host := range []string{"localhost", "localhost:80"} {
			got := f.raw(t, line+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
			status := strings.TrimPrefix(got, "HTTP/1.1 ")
			refused := strings.HasPrefix(status, "401") || strings.HasPrefix(status, "400") || strings.Contains(line, "//healthz/") && strings.HasPrefix(status, "403")
			if !refused {
				t.Errorf("%s: %.60q", line, got)
			}
		}
	}
	for _, host := range []string{"x/healthz?", "localhost/healthz?", "localhost#", "localhost@healthz", "/healthz"} {
		got := f.raw(t, "GET /v1/models HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		if s := strings.TrimPrefix(got, "HTTP/1.1 "); !strings.HasPrefix(s, "40") {
			t.Errorf("Host %s: %.60q", host, got)
		}
	}
	got := f.raw(t, "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+key+"\r\nAuthorization: Bearer "+key+"\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 401") {
		t.Errorf("two keys: %.60q", got)
	}
	// With the key, what does not exist still does not.
	for _, path := range []string{"/debug/pprof/", "/debug/vars", "/admin", "/update_weights", "/pause", "/invocations", "/server_info"} {
		if r := f.do(t, "GET", path, "", "Authorization", "Bearer "+key); r.status != 404 || envelope(t, r).Type != "invalid_request_error" {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}

// The key decides the tenant, and nothing else of the key goes further.
func TestKeysAreTenants(t *testing.T) {
	var tenants []string
	f := begin(t, Config{APIKeys: []string{key, key2}}, scripted.Config{Script: func(req *llm.Request, c int) []scripted.Step {
		tenants = append(tenants, req.Tenant+"/"+req.Salt)
		return spell(raw, 9)(req, c)
	}})
	for _, k := range []string{key, key, key2} {
		if r := f.chat(t, ask(`"cache_salt":"s"`), "Authorization", "Bearer "+k); r.status != 200 {
			t.Fatal(r.status)
		}
	}
	if tenants[0] != tenants[1] || tenants[0] == tenants[2] || len(tenants[0]) != 34 || strings.Contains(tenants[0], key) {
		t.Errorf("tenants %v", tenants)
	}
	if strings.Contains(f.logs.String(), key[:10]) {
		t.Error("the key is in the log")
	}
}

func TestForeignHostsAreRefusedOnLoopback(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	for _, host := range []string{"localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:8000", "[::1]", "[::1]:80", "localhost."} {
		if r := f.do(t, "GET", "/healthz", "", "Host", host); r.status != 200 {
			t.Errorf("%s: %d", host, r.status)
		}
	}
	for _, host := range []string{"evil.com", "evil.com:8000", "localhost.evil.com", "127.0.0.1.evil.com", "127.0.0.1.nip.io", "x.local", "x.internal", "10.0.0.1", "0.0.0.0", "[::]", "169.254.169.254", "2130706433", "[::ffff:10.0.0.1]"} {
		for _, path := range []string{"/healthz", "/v1/models", "/nowhere"} {
			if r := f.do(t, "GET", path, "", "Host", host); r.status != http.StatusForbidden || *envelope(t, r).Code != "host_not_allowed" {
				t.Errorf("%s %s: %d", host, path, r.status)
			}
		}
	}
	named := begin(t, Config{AllowedHosts: []string{"llm.example.org"}}, scripted.Config{})
	for host, status := range map[string]int{"llm.example.org:443": 200, "LLM.example.org": 200, "localhost": 200, "other.example.org": 403} {
		if r := named.do(t, "GET", "/healthz", "", "Host", host); r.status != status {
			t.Errorf("%s: %d", host, r.status)
		}
	}
}

func TestNoCrossOriginAccess(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	for _, origin := range []string{"https://evil.com", "null", "http://localhost:3000", "file://"} {
		for _, method := range []string{"GET", "OPTIONS"} {
			r := f.do(t, method, "/v1/models", "", "Origin", origin, "Access-Control-Request-Method", "POST")
			for name := range r.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s from %s: %s", method, origin, name)
				}
			}
			if method == "OPTIONS" && (r.status != 405 || r.header.Get("Allow") == "") {
				t.Errorf("preflight: %d", r.status)
			}
		}
	}
	for _, kind := range []string{"text/plain", "text/plain; charset=utf-8", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "json", "text/json", "application/jsonp", "application/json, text/plain"} {
		r := f.do(t, "POST", "/v1/chat/completions", ask(), "Content-Type", kind)
		if r.status != http.StatusUnsupportedMediaType {
			t.Errorf("%q: %d", kind, r.status)
		}
		envelope(t, r)
	}
	if r := f.do(t, "POST", "/v1/chat/completions", ask(), "Content-Type", "Application/JSON; charset=UTF-8"); r.status != 200 {
		t.Errorf("application/json: %d", r.status)
	}
}
