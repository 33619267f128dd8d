package e2e_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	commit = "0123456789abcdef0123456789abcdef01234567"
	token  = "hf_secret"
)

// loopbackHub serves testdata/tiny-reasoner as test/tiny in the way of a Hugging
// Face hub: only with a token, and breaking the weights off once, half way.
func loopbackHub(t *testing.T, resumed *atomic.Int32) *httptest.Server {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range []string{"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors"} {
		data, err := os.ReadFile(filepath.Join("../../testdata/tiny-reasoner", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = data
	}
	var broken atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/api/models/test/tiny/revision/main" {
			_, _ = w.Write(listing(files))
			return
		}
		name, ok := strings.CutPrefix(r.URL.Path, "/test/tiny/resolve/"+commit+"/")
		data := files[name]
		if !ok || data == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if name == "model.safetensors" {
			if r.Header.Get("Range") != "" {
				resumed.Add(1)
			}
			if broken.CompareAndSwap(false, true) {
				w.Header().Set("Content-Length", fmt.Sprint(len(data)))
				_, _ = w.Write(data[:len(data)/2])
				return // net/http closes the connection: the body was announced longer
			}
		}
		w.Header().Set("ETag", fmt.Sprintf("%q", gitBlob(data)))
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
	}))
	t.Cleanup(s.Close)
	return s
}

func gitBlob(data []byte) string {
	sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...))
	return hex.EncodeToString(sum[:])
}

// listing is the hub's answer about the revision.
func listing(files map[string][]byte) []byte {
	type lfs struct {
		SHA256 string `json:"sha256"`
		Size   int    `json:"size"`
	}
	type sibling struct {
		Name string `json:"rfilename"`
		Size int    `json:"size"`
		Blob string `json:"blobId"`
		LFS  *lfs   `json:"lfs,omitempty"`
	}
	var siblings []sibling
	for name, data := range files {
		s := sibling{Name: name, Size: len(data), Blob: gitBlob(data)}
		if strings.HasSuffix(name, ".safetensors") {
			sum := sha256.Sum256(data)
			s.LFS = &lfs{hex.EncodeToString(sum[:]), len(data)}
		}
		siblings = append(siblings, s)
	}
	b, _ := json.Marshal(map[string]any{"id": "test/tiny", "sha": commit, "siblings": siblings})
	return b
}

func TestAHubModelIsFetchedResumedAndThenServedOffline(t *testing.T) {
	var resumed atomic.Int32
	hub := loopbackHub(t, &resumed)
	env := []string{"HF_HOME=" + t.TempDir(), "HF_HUB_CACHE=", "HF_ENDPOINT=" + hub.URL, "HF_TOKEN=" + token, "HF_HUB_OFFLINE="}

	p := startEnv(t, env, "test/tiny", "--port", "0")
	p.answers()
	if resumed.Load() == 0 {
		t.Error("the broken download was not resumed")
	}
	if strings.Contains(p.stderr.String(), token) {
		t.Error("the token is in the log")
	}
	hub.Close()
	startEnv(t, append(env, "HF_HUB_OFFLINE=1"), "test/tiny", "--port", "0").answers()
}

func TestAHubThatRefusesIsOneLine(t *testing.T) {
	var resumed atomic.Int32
	hub := loopbackHub(t, &resumed)
	t.Setenv("HF_HOME", t.TempDir())
	t.Setenv("HF_ENDPOINT", hub.URL)
	t.Setenv("HF_TOKEN", "wrong")
	_, stderr, code := reasond(t, "", "serve", "test/tiny", "--port", "0")
	if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "reasond: model test/tiny: ") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestAServerThatLoadsAnswersWhetherItLives(t *testing.T) {
	var resumed atomic.Int32
	hub := loopbackHub(t, &resumed)
	socket := filepath.Join(t.TempDir(), "s")
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	get := func(path string) (int, string) {
		r, err := client.Get("http://localhost" + path)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(body)
	}
	status := func(path string) int { code, _ := get(path); return code }
	// The hub looks at the server while that waits for its weights.
	var loading atomic.Int32
	watched := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/model.safetensors") {
			loading.Add(1)
			alive := status("/healthz")
			if ready, body := get("/readyz"); alive != 200 || ready != 503 || !strings.Contains(body, `"state":"loading","progress":`) {
				t.Errorf("while it loads: /healthz %d, /readyz %d %s", alive, ready, body)
			}
		}
		hub.Config.Handler.ServeHTTP(w, r)
	}))
	defer watched.Close()
	env := []string{"HF_HOME=" + t.TempDir(), "HF_HUB_CACHE=", "HF_ENDPOINT=" + watched.URL, "HF_TOKEN=" + token, "HF_HUB_OFFLINE="}
	startEnv(t, env, "test/tiny", "--uds", socket)
	if alive, ready := status("/healthz"), status("/readyz"); alive != 200 || ready != 200 || loading.Load() == 0 {
		t.Errorf("after %d looks while it loaded: /healthz %d, /readyz %d", loading.Load(), alive, ready)
	}
}
