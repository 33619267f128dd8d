package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// fakeHub is a hub on loopback with one repository. Large files redirect to a
// second server, as the real one's do.
type fakeHub struct {
	files map[string]string // name -> bytes
	lfs   map[string]bool

	mu       sync.Mutex
	requests []string       // "GET path range" of either server
	auth     map[string]int // "hub" or "cdn" -> requests that carried a token
	cut      map[string]int // name -> bytes after which the next answer breaks off, once
	corrupt  map[string]int // name -> answers still to be corrupted
	noRange  bool
	refuse   func(w http.ResponseWriter, r *http.Request) bool

	hub, cdn *httptest.Server
}

func newFakeHub(t *testing.T) *fakeHub {
	h := &fakeHub{
		files: map[string]string{
			"config.json":       `{"model_type":"qwen3"}`,
			"tokenizer.json":    "{}",
			"README.md":         "not needed",
			"pytorch_model.bin": "not needed either",
			"tokenizer.model":   "nor this",
			"model.safetensors": strings.Repeat("0123456789abcdef", 1<<14),
		},
		lfs:  map[string]bool{"model.safetensors": true, "pytorch_model.bin": true},
		auth: map[string]int{}, cut: map[string]int{}, corrupt: map[string]int{},
	}
	h.hub = httptest.NewServer(http.HandlerFunc(h.serveHub))
	h.cdn = httptest.NewServer(http.HandlerFunc(h.serveCDN))
	t.Cleanup(h.hub.Close)
	t.Cleanup(h.cdn.Close)
	return h
}

func (h *fakeHub) record(server string, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, strings.TrimSpace(r.URL.Path+" "+r.Header.Get("Range")))
	if r.Header.Get("Authorization") != "" {
		h.auth[server]++
	}
}

func (h *fakeHub) serveHub(w http.ResponseWriter, r *http.Request) {
	h.record("hub", r)
	if h.refuse != nil && h.refuse(w, r) {
		return
	}
	switch {
	case r.URL.Path == "/api/models/org/name/revision/main" || r.URL.Path == "/api/models/org/name/revision/"+commit:
		h.serveList(w)
	case strings.HasPrefix(r.URL.Path, "/org/name/resolve/"+commit+"/"):
		name := strings.TrimPrefix(r.URL.Path, "/org/name/resolve/"+commit+"/")
		if h.lfs[name] {
			http.Redirect(w, r, h.cdn.URL+"/cdn/"+name, http.StatusFound)
			return
		}
		h.serveFile(w, r, name)
	default:
		http.NotFound(w, r)
	}
}

func (h *fakeHub) serveCDN(w http.ResponseWriter, r *http.Request) {
	h.record("cdn", r)
	h.serveFile(w, r, strings.TrimPrefix(r.URL.Path, "/cdn/"))
}

func (h *fakeHub) serveList(w http.ResponseWriter) {
	var siblings []map[string]any
	for name, data := range h.files {
		blob := sha1.Sum([]byte(fmt.Sprintf("blob %d\x00%s", len(data), data)))
		s := map[string]any{"rfilename": name, "size": len(data), "blobId": hex.EncodeToString(blob[:])}
		if h.lfs[name] {
			sum := sha256.Sum256([]byte(data))
			s["lfs"] = map[string]any{"sha256": hex.EncodeToString(sum[:]), "size": len(data)}
		}
		siblings = append(siblings, s)
	}
	json.NewEncoder(w).Encode(map[string]any{"sha": commit, "siblings": siblings})
}

func (h *fakeHub) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	data, from := h.files[name], 0
	h.mu.Lock()
	cut, isCut := h.cut[name]
	delete(h.cut, name)
	if h.corrupt[name] > 0 {
		h.corrupt[name]--
		data = strings.ToUpper(data)
	}
	h.mu.Unlock()
	if s, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok && !h.noRange {
		from, _ = strconv.Atoi(strings.TrimSuffix(s, "-"))
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(data)-1, len(data)))
		w.Header().Set("Content-Length", strconv.Itoa(len(data)-from))
		w.WriteHeader(http.StatusPartialContent)
	} else {
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	}
	if isCut {
		w.Write([]byte(data[from : from+cut]))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	w.Write([]byte(data[from:]))
}

func (h *fakeHub) count(part string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.requests {
		if strings.Contains(r, part) {
			n++
		}
	}
	return n
}

// config is a Config for the fake hub that never waits between attempts.
func (h *fakeHub) config(t *testing.T) Config {
	return Config{Endpoint: h.hub.URL, CacheDir: t.TempDir(), Retries: 3, pause: func(context.Context, int) error { return nil }}
}

var ref = Ref{Repo: "org/name", Revision: "main"}

func get(t *testing.T, c Config, ref Ref) Snapshot {
	t.Helper()
	s, err := c.Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fails says that Get fails with words in one line, and leaves no whole blob of
// a file that it could not check.
func fails(t *testing.T, c Config, ref Ref, want string) {
	t.Helper()
	_, err := c.Get(t.Context(), ref)
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "org/name") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q, want the model and %q in one line", err, want)
	}
}

func (h *fakeHub) holds(t *testing.T, dir string, names ...string) {
	t.Helper()
	var found []string
	fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, name)
		}
		return nil
	})
	if len(found) != len(names) {
		t.Errorf("the snapshot holds %v, want %v", found, names)
	}
	for _, name := range names {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != h.files[name] {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
	}
}

func TestAFreshDownloadFetchesWhatIsNeededIntoTheUsualLayout(t *testing.T) {
	h := newFakeHub(t)
	c := h.config(t)
	done := map[string]int64{}
	c.Progress = func(p Progress) {
		if p.Done < done[p.File] || p.Done > p.Total || p.Files != 3 || p.Total != int64(len(h.files[p.File])) {
			t.Errorf("progress goes wrong: %+v", p)
		}
		done[p.File] = p.Done
	}
	s := get(t, c, ref)
	h.holds(t, s.Path, "config.json", "tokenizer.json", "model.safetensors")
	if s.Commit != commit || s.Stale || done["model.safetensors"] != 1<<18 {
		t.Errorf("%+v, progress %v", s, done)
	}
	root := filepath.Join(c.CacheDir, "models--org--name")
	if s.Path != filepath.Join(root, "snapshots", commit) {
		t.Errorf("path %s", s.Path)
	}
	sum := sha256.Sum256([]byte(h.files["model.safetensors"]))
	if link, err := os.Readlink(filepath.Join(s.Path, "model.safetensors")); err != nil || link != "../../blobs/"+hex.EncodeToString(sum[:]) {
		t.Errorf("link %q, %v", link, err)
	}
	if raw, err := os.ReadFile(filepath.Join(root, "refs", "main")); err != nil || string(raw) != commit {
		t.Errorf("refs/main %q, %v", raw, err)
	}
	before := len(h.requests)
	if again := get(t, c, ref); again != s || len(h.requests) != before+1 {
		t.Errorf("a second time: %+v, %d requests", again, len(h.requests)-before)
	}
	if again := get(t, c, Ref{Repo: "org/name", Revision: commit}); again != s || len(h.requests) != before+1 {
		t.Errorf("by its commit: %+v, %d requests", again, len(h.requests)-before)
	}
}

func TestADownloadResumesWhereTheConnectionBroke(t *testing.T) {
	h := newFakeHub(t)
	h.cut["model.safetensors"] = 100_000
	s := get(t, h.config(t), ref)
	h.holds(t, s.Path, "config.json", "tokenizer.json", "model.safetensors")
	if h.count("/cdn/model.safetensors bytes=100000-") != 1 {
		t.Errorf("requests %v", h.requests)
	}
}

func TestALaterRunResumesWhatAnEarlierOneLeft(t *testing.T) {
	h := newFakeHub(t)
	c := h.config(t)
	c.Retries = 1
	h.cut["model.safetensors"] = 70_000
	stop := errors.New("stopped")
	c.pause = func(context.Context, int) error { return stop }
	// Bytes were gained, so an attempt would follow, but the run stops.
	if _, err := c.Get(t.Context(), ref); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	first := int64(-1)
	c.Progress = func(p Progress) {
		if first < 0 {
			first = p.Done
		}
	}
	s := get(t, c, ref)
	h.holds(t, s.Path, "config.json", "tokenizer.json", "model.safetensors")
	if first != 70_000 || h.count("/cdn/model.safetensors bytes=70000-") != 1 {
		t.Errorf("resumed at %d, requests %v", first, h.requests)
	}
}

func TestAHubWithoutRangesIsReadFromTheStart(t *testing.T) {
	h := newFakeHub(t)
	h.noRange = true
	h.cut["model.safetensors"] = 100_000
	s := get(t, h.config(t), ref)
	h.holds(t, s.Path, "config.json", "tokenizer.json", "model.safetensors")
}

func TestAHubThatKeepsBreakingOffIsGivenUp(t *testing.T) {
	h := newFakeHub(t)
	h.refuse = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "resolve") {
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	}
	fails(t, h.config(t), ref, "the hub answers 502")
	if n := h.count("resolve"); n != 3 {
		t.Errorf("%d attempts, want 3", n)
	}
}

func TestCorruptBytesAreNeverKept(t *testing.T) {
	for name, kind := range map[string]string{"model.safetensors": "SHA-256", "config.json": "git hash"} {
		h := newFakeHub(t)
		c := h.config(t)
		h.corrupt[name] = 100
		fails(t, c, ref, name+": the bytes received are corrupt: "+kind)
		h.corrupt[name] = 0
		h.holds(t, get(t, c, ref).Path, "config.json", "tokenizer.json", "model.safetensors")
	}
}

// What an earlier run left may be rubbish: then the whole is fetched again.
func TestACorruptBeginningIsFetchedAgain(t *testing.T) {
	h := newFakeHub(t)
	c := h.config(t)
	sum := sha256.Sum256([]byte(h.files["model.safetensors"]))
	blobs := filepath.Join(c.CacheDir, "models--org--name", "blobs")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{"rubbish", strings.Repeat("x", 1<<18), strings.Repeat("x", 1<<19)} {
		if err := os.WriteFile(filepath.Join(blobs, hex.EncodeToString(sum[:])+".incomplete"), []byte(left), 0o644); err != nil {
			t.Fatal(err)
		}
		s := get(t, c, ref)
		h.holds(t, s.Path, "config.json", "tokenizer.json", "model.safetensors")
		if err := os.RemoveAll(filepath.Join(blobs, hex.EncodeToString(sum[:]))); err != nil {
			t.Fatal(err)
		}
	}
}

// CVE-2025-51471: a token that leaves for another host.
func TestTheTokenGoesToTheHubAlone(t *testing.T) {
	h := newFakeHub(t)
	c := h.config(t)
	c.Token = "hf_secret"
	get(t, c, ref)
	if h.auth["hub"] != 4 || h.auth["cdn"] != 0 || h.count("/cdn/") != 1 {
		t.Errorf("requests with a token: %v of %v", h.auth, h.requests)
	}
}

func TestOffline(t *testing.T) {
	h := newFakeHub(t)
	c := h.config(t)
	offline := c
	offline.Offline = true
	fails(t, offline, ref, "not in the cache")
	if len(h.requests) != 0 {
		t.Errorf("offline sent %v", h.requests)
	}
	s := get(t, c, ref)
	before := len(h.requests)
	if again := get(t, offline, ref); again != s || len(h.requests) != before {
		t.Errorf("%+v after %d requests", again, len(h.requests)-before)
	}
	fails(t, offline, Ref{Repo: "org/name", Revision: "other"}, "not in the cache")
	if err := os.Remove(filepath.Join(s.Path, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	fails(t, offline, ref, "HF_HUB_OFFLINE")
}

func TestAnUnreachableHubLeavesTheCache(t *testing.T) {
	h := newFakeHub(t)
	c := h.config(t)
	want := get(t, c, ref)
	h.refuse = func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(503); return true }
	if s := get(t, c, ref); !s.Stale || s.Path != want.Path {
		t.Errorf("%+v", s)
	}
	h.hub.Close()
	if s := get(t, c, ref); !s.Stale || s.Path != want.Path {
		t.Errorf("%+v", s)
	}
	c.CacheDir = t.TempDir()
	fails(t, c, ref, "cannot be reached")
}

func TestRefusalsSayWhatWouldHelp(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		path   string
		token  string
		want   string
	}{
		{401, "RepoNotFound", "/api/", "", "needs HF_TOKEN"},
		{401, "RepoNotFound", "/api/", "hf_x", "the token in HF_TOKEN does not open it"},
		{403, "", "/api/", "hf_x", "refuses access (403)"},
		{403, "GatedRepo", "/resolve/", "", "asks for an agreement"},
		{404, "RevisionNotFound", "/api/", "", `no revision "main"`},
		{404, "", "/api/", "", "does not have it (404)"},
		{418, "", "/api/", "", "answers 418"},
	} {
		h := newFakeHub(t)
		h.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, c.path) {
				return false
			}
			w.Header().Set("X-Error-Code", c.code)
			w.WriteHeader(c.status)
			return true
		}
		config := h.config(t)
		config.Token = c.token
		fails(t, config, ref, c.want)
	}
}

func TestAShardedModelFetchesTheIndexsFiles(t *testing.T) {
	h := newFakeHub(t)
	delete(h.files, "model.safetensors")
	h.files[indexFile] = `{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}`
	h.files["model-00001-of-00002.safetensors"], h.files["model-00002-of-00002.safetensors"] = "one", "two"
	h.files["consolidated.safetensors"] = "not needed"
	c := h.config(t)
	s := get(t, c, ref)
	h.holds(t, s.Path, "config.json", "tokenizer.json", indexFile, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
	h.files[indexFile] = `{"weight_map":{"a":"../../../evil.safetensors"}}`
	c.CacheDir = t.TempDir()
	fails(t, c, ref, "evil.safetensors")
}

// CVE-2024-37032 and its like: names and digests that leave the cache.
func TestAHostileListingIsRefused(t *testing.T) {
	for name, want := range map[string]string{"../../../etc/passwd": "refused", "a\\..\\b": "refused", "/abs": "refused", "a\nb": "refused"} {
		h := newFakeHub(t)
		h.files[name] = "x"
		fails(t, h.config(t), ref, want)
	}
	for raw, want := range map[string]string{
		`[]`:                "not as expected",
		`{"sha":"../../x"}`: "names no commit",
		`{"sha":"` + commit + `","siblings":[{"rfilename":"config.json","size":1,"blobId":"../x"}]}`:                               "without size or hash",
		`{"sha":"` + commit + `","siblings":[{"rfilename":"config.json","size":-1,"blobId":"` + commit + `"}]}`:                    "without size or hash",
		`{"sha":"` + commit + `","siblings":[{"rfilename":"config.json","size":1,"blobId":"x","lfs":{"sha256":"../y","size":1}}]}`: "without size or hash",
	} {
		if _, err := parseListing([]byte(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

// Of many processes only one downloads: the others wait and find the blob.
func TestConcurrentDownloadsFetchOnce(t *testing.T) {
	h := newFakeHub(t)
	c := h.config(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := c.Get(t.Context(), ref); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := h.count("/cdn/model.safetensors"); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

func TestGetEndsWithItsContext(t *testing.T) {
	h := newFakeHub(t)
	ctx, cancel := context.WithCancel(t.Context())
	h.refuse = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "resolve") {
			cancel()
		}
		return false
	}
	c := h.config(t)
	if _, err := c.Get(ctx, ref); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestAGGUFRepositoryGivesTheFile(t *testing.T) {
	h := newFakeHub(t)
	h.files = map[string]string{"config.json": "{}", "m-Q4_K_M.gguf": "four", "m-Q8_0.gguf": "eight", "sub/m-F16.gguf": "half"}
	c := h.config(t)
	for pick, want := range map[string]string{"": "m-Q4_K_M.gguf", "q8_0": "m-Q8_0.gguf", "m-Q8_0.gguf": "m-Q8_0.gguf", "sub/m-F16.gguf": "sub/m-F16.gguf", "F16": "sub/m-F16.gguf"} {
		s := get(t, c, Ref{Repo: "org/name", Revision: "main", Pick: pick})
		if data, err := os.ReadFile(s.Path); err != nil || string(data) != h.files[want] || filepath.Base(s.Path) != filepath.Base(want) {
			t.Errorf("%q: %s %q %v", pick, s.Path, data, err)
		}
	}
	fails(t, c, Ref{Repo: "org/name", Revision: "main", Pick: "Q2_K"}, "no GGUF file is")
}

func TestAFileOfTheWrongLengthIsFetchedAgain(t *testing.T) {
	h := newFakeHub(t)
	c := h.config(t)
	s := get(t, c, ref)
	if err := os.Truncate(filepath.Join(s.Path, "model.safetensors"), 1000); err != nil {
		t.Fatal(err)
	}
	h.holds(t, get(t, c, ref).Path, "config.json", "tokenizer.json", "model.safetensors")
}

// CVE-2024-12886: an answer without end.
func TestAnEndlessListingIsCutOff(t *testing.T) {
	h := newFakeHub(t)
	h.refuse = func(w http.ResponseWriter, r *http.Request) bool {
		chunk := []byte(strings.Repeat(" ", 1<<20))
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				break
			}
		}
		return true
	}
	fails(t, h.config(t), ref, "answer is over")
}

func TestARedirectNeverLeavesTLS(t *testing.T) {
	request := func(address string) *http.Request {
		r, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if checkRedirect(request("http://b"), []*http.Request{request("https://a")}) == nil {
		t.Error("https to http was followed")
	}
	if err := checkRedirect(request("https://b"), []*http.Request{request("https://a")}); err != nil {
		t.Error(err)
	}
	if checkRedirect(request("https://b"), make([]*http.Request, maxRedirects)) == nil {
		t.Error("redirects without end were followed")
	}
}
