// Package hub brings a model from a Hugging Face hub into the usual local
// cache, the very folders that Python's huggingface_hub uses, and finds it
// there again. It fetches only what reasond reads. It knows names and hashes
// of files, never what is in them; opening is for package weights.
package hub

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// DefaultEndpoint is the hub that is asked where Config names none.
const DefaultEndpoint = "https://huggingface.co"

// Config says where hub and cache are. The package reads no environment
// itself; FromEnv turns one into a Config.
type Config struct {
	Endpoint string // base URL; default DefaultEndpoint
	CacheDir string // the cache's root, which holds models--org--name; required
	Token    string // sent to Endpoint alone, never to where it redirects
	Offline  bool   // use what is in the cache, send nothing
	Agent    string // User-Agent; default "reasond"

	// Progress, if not nil, is called while files are fetched: for each file
	// at its start, about once a mebibyte and at its end, from the goroutine
	// that called Get.
	Progress func(Progress)

	// Retries is how often in a row an interrupted download is taken up again
	// without a byte gained; default 5.
	Retries int
	// Stall is how long a connection may be silent; default one minute.
	Stall time.Duration

	pause func(ctx context.Context, attempt int) error // between attempts; tests replace it
}

// Progress tells how far a download is.
type Progress struct {
	File        string
	Done, Total int64 // bytes of this file; what an earlier run left counts as done
	Index       int   // of this file among those to fetch, from 0
	Files       int
}

// FromEnv is the Config that the usual variables describe: HF_ENDPOINT,
// HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, HF_HUB_OFFLINE and HF_TOKEN. getenv
// is os.Getenv, home the user's home folder.
func FromEnv(getenv func(string) string, home string) Config {
	folder := func(key string) string {
		path := getenv(key)
		if rest, ok := strings.CutPrefix(path, "~/"); ok {
			return filepath.Join(home, rest)
		}
		return path
	}
	c := Config{Endpoint: getenv("HF_ENDPOINT"), Token: strings.TrimSpace(getenv("HF_TOKEN")), CacheDir: folder("HF_HUB_CACHE")}
	if c.CacheDir == "" {
		hf := folder("HF_HOME")
		if hf == "" {
			cache := folder("XDG_CACHE_HOME")
			if cache == "" {
				cache = filepath.Join(home, ".cache")
			}
			hf = filepath.Join(cache, "huggingface")
		}
		c.CacheDir = filepath.Join(hf, "hub")
	}
	switch strings.ToUpper(getenv("HF_HUB_OFFLINE")) {
	case "1", "ON", "YES", "TRUE":
		c.Offline = true
	}
	return c
}

// Snapshot is a model in the cache.
type Snapshot struct {
	Path   string // for weights.Open: the snapshot's folder, or the GGUF file in it
	Commit string
	// Stale: the hub could not be reached, so the cache's own idea of the
	// revision was taken.
	Stale bool
}

// Get returns the model's local snapshot, fetching what is missing.
//
//  1. A commit whose files are all in the cache needs no network.
//  2. Offline, the cache decides.
//  3. The hub is asked for the revision's commit and files; if it cannot be
//     reached, the cache decides, and Stale is set.
//  4. Missing files are fetched and their hashes checked.
//
// Errors are one line that names the model and says what would help.
func (c Config) Get(ctx context.Context, ref Ref) (Snapshot, error) {
	s, err := c.get(ctx, ref)
	if err != nil {
		return Snapshot{}, fmt.Errorf("model %s: %w", ref, err)
	}
	return s, nil
}

func (c Config) get(ctx context.Context, ref Ref) (Snapshot, error) {
	if err := c.setDefaults(); err != nil {
		return Snapshot{}, err
	}
	cache := newCache(c.CacheDir, ref.Repo)
	if c.Offline || commitPattern.MatchString(ref.Revision) { // 1, 2
		s, err := cache.find(ref)
		if err == nil {
			return s, nil
		}
		if c.Offline {
			return Snapshot{}, fmt.Errorf("%w, and HF_HUB_OFFLINE forbids to fetch it", err)
		}
	}
	client, err := newClient(c)
	if err != nil {
		return Snapshot{}, err
	}
	list, err := client.list(ctx, ref)
	if err != nil { // 3
		var gone unreachable
		if errors.As(err, &gone) && ctx.Err() == nil {
			if s, cacheErr := cache.find(ref); cacheErr == nil {
				s.Stale = true
				return s, nil
			}
		}
		return Snapshot{}, err
	}
	path, err := fetchAll(ctx, client, cache, ref, list) // 4
	if err != nil {
		return Snapshot{}, err
	}
	return Snapshot{Path: path, Commit: list.Commit}, nil
}

// setDefaults fills in what is not set and refuses what cannot work.
func (c *Config) setDefaults() error {
	if c.CacheDir == "" {
		return errors.New("hub: CacheDir is empty")
	}
	if c.Endpoint == "" {
		c.Endpoint = DefaultEndpoint
	}
	u, err := url.Parse(strings.TrimRight(c.Endpoint, "/"))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("hub: the endpoint %.100q is not a plain http(s) address", c.Endpoint)
	}
	c.Endpoint = u.String()
	if strings.ContainsAny(c.Token, " \t\r\n") {
		return errors.New("hub: the token holds white space")
	}
	if c.Agent == "" {
		c.Agent = "reasond"
	}
	if c.Retries <= 0 {
		c.Retries = 5
	}
	if c.Stall <= 0 {
		c.Stall = time.Minute
	}
	if c.pause == nil {
		c.pause = backOff
	}
	return nil
}

// backOff waits 1, 2, 4 … seconds, at most 30.
func backOff(ctx context.Context, attempt int) error {
	timer := time.NewTimer(min(time.Second<<min(attempt, 10), 30*time.Second))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// fetchAll brings the files that the model needs into the cache and returns
// the path to open.
func fetchAll(ctx context.Context, client *client, cache cache, ref Ref, list *listing) (string, error) {
	names := list.names()
	choice, err := choose(names, ref.Pick)
	if err != nil {
		return "", err
	}
	if choice.index != "" {
		if err := fetchFiles(ctx, client, cache, ref, list, []string{choice.index}); err != nil {
			return "", err
		}
		shards, err := readIndex(cache.snapshotFile(list.Commit, choice.index))
		if err != nil {
			return "", err
		}
		choice.files = append(choice.files, shards...)
	}
	if err := fetchFiles(ctx, client, cache, ref, list, choice.files); err != nil {
		return "", err
	}
	if err := cache.writeRef(ref.Revision, list.Commit); err != nil {
		return "", err
	}
	return cache.snapshotFile(list.Commit, choice.open), nil
}

func fetchFiles(ctx context.Context, client *client, cache cache, ref Ref, list *listing, names []string) error {
	var missing []file
	for _, name := range names {
		f, ok := list.files[name]
		if !ok {
			return fmt.Errorf("the hub lists no file %.100q", name)
		}
		if !cache.has(list.Commit, f) {
			missing = append(missing, f)
		}
	}
	for i, f := range missing {
		report := func(done int64) {
			if client.Progress != nil {
				client.Progress(Progress{File: f.name, Done: done, Total: f.size, Index: i, Files: len(missing)})
			}
		}
		if err := client.fetch(ctx, cache, list.Commit, f, report); err != nil {
			return fmt.Errorf("%s: %w", f.name, client.explain(err, ref))
		}
	}
	return nil
}

// unreachable marks an error of the network, not an answer of the hub.
type unreachable struct{ error }

func (u unreachable) Unwrap() error { return u.error }

// statusError is an answer of the hub that is no success.
type statusError struct {
	status int
	code   string // the hub's X-Error-Code
}

func (e statusError) Error() string { return fmt.Sprintf("the hub answers %d", e.status) }
