package hub

import (
	"context"
	"crypto/sha1" // git names blobs by it; nothing secret rests on it
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// fetch brings one file into the cache: its blob, whole and of the right hash,
// then the snapshot's link to it. While it runs it holds the blob's lock, so
// that of several processes one downloads and the others find it done.
func (c *client) fetch(ctx context.Context, cache cache, commit string, f file, report func(done int64)) error {
	blob := cache.blob(f.hash)
	for _, dir := range []string{filepath.Dir(blob), cache.lock} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	unlock, err := lockFile(ctx, filepath.Join(cache.lock, f.hash+".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if info, err := os.Stat(blob); err != nil || info.Size() != f.size {
		if err := c.fetchBlob(ctx, commit, blob, f, cache.repo, report); err != nil {
			return err
		}
	}
	return cache.link(commit, f)
}

// fetchBlob fills blob.incomplete, resuming what is there, checks the hash and
// renames. Bytes of the wrong hash are thrown away; if part of them was left
// by an earlier run, the whole is fetched once more.
func (c *client) fetchBlob(ctx context.Context, commit, blob string, f file, repo string, report func(int64)) error {
	address := c.Endpoint + "/" + repo + "/resolve/" + commit + "/" + escapePath(f.name)
	part, err := os.OpenFile(blob+".incomplete", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer part.Close()
	for {
		resumed, err := c.fill(ctx, address, part, f, report)
		if err != nil {
			return err
		}
		err = checkHash(part, f)
		if err == nil {
			break
		}
		if truncErr := part.Truncate(0); truncErr != nil {
			return truncErr
		}
		if !resumed {
			return err
		}
	}
	if err := part.Sync(); err != nil {
		return err
	}
	if err := part.Close(); err != nil {
		return err
	}
	return os.Rename(blob+".incomplete", blob)
}

// fill downloads until part has the file's length. resumed: it began with
// bytes that an earlier run had left.
func (c *client) fill(ctx context.Context, address string, part *os.File, f file, report func(int64)) (resumed bool, err error) {
	have, err := part.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	if have > f.size {
		if have, err = 0, part.Truncate(0); err != nil {
			return false, err
		}
	}
	resumed = have > 0
	report(have)
	for failures := 0; have < f.size; {
		before := have
		have, err = c.download(ctx, address, part, have, f.size, report)
		if err == nil {
			continue
		}
		var network unreachable
		if ctx.Err() != nil || !errors.As(err, &network) {
			return resumed, err
		}
		if failures++; have > before {
			failures = 0
		}
		if failures >= c.Retries {
			return resumed, err
		}
		if err := c.pause(ctx, failures); err != nil {
			return resumed, err
		}
	}
	return resumed, nil
}

// download asks for the file from byte have on and appends what comes to part.
// It returns how many bytes part has then; an answer that ends early is
// unreachable, so that fill asks again.
func (c *client) download(ctx context.Context, address string, part *os.File, have, size int64, report func(int64)) (int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	header := http.Header{}
	if have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	resp, err := c.get(ctx, address, header)
	if err != nil {
		return have, err
	}
	defer resp.Body.Close()
	if have, err = continueAt(resp, have); err != nil {
		return have, err
	}
	if err := part.Truncate(have); err != nil {
		return have, err
	}
	stall := time.AfterFunc(c.Stall, cancel)
	defer stall.Stop()
	w := &reporting{w: io.NewOffsetWriter(part, have), have: have, last: have, report: report, alive: func() { stall.Reset(c.Stall) }}
	_, err = io.CopyBuffer(w, struct{ io.Reader }{io.LimitReader(resp.Body, size-have)}, make([]byte, 1<<17))
	switch {
	case w.failed != nil:
		return w.have, w.failed
	case err != nil:
		return w.have, unreachable{fmt.Errorf("the connection broke after %d of %d bytes", w.have, size)}
	case w.have < size:
		return w.have, unreachable{fmt.Errorf("the hub sent %d of %d bytes", w.have, size)}
	}
	report(w.have)
	return w.have, nil
}

// continueAt is where the answer's bytes belong: at have if the hub honours
// the range, else at the start.
func continueAt(resp *http.Response, have int64) (int64, error) {
	switch resp.StatusCode {
	case http.StatusPartialContent:
		var from int64
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &from); err != nil || from != have {
			return have, errors.New("the hub answers with another range than was asked for")
		}
		return have, nil
	case http.StatusRequestedRangeNotSatisfiable:
		return 0, unreachable{errors.New("the hub cannot continue the download")}
	}
	return 0, nil
}

// reporting counts what is written and tells about each mebibyte.
type reporting struct {
	w      io.Writer
	have   int64
	last   int64
	report func(int64)
	alive  func()
	failed error // of writing, so not the network's
}

func (r *reporting) Write(p []byte) (int, error) {
	r.alive()
	n, err := r.w.Write(p)
	r.have += int64(n)
	r.failed = err
	if r.have-r.last >= 1<<20 {
		r.last = r.have
		r.report(r.have)
	}
	return n, err
}

// checkHash compares the file's bytes with the hash that the hub lists.
func checkHash(part *os.File, f file) error {
	var h hash.Hash
	kind := "SHA-256"
	if f.lfs {
		h = sha256.New()
	} else {
		kind, h = "git hash", sha1.New()
		fmt.Fprintf(h, "blob %d\x00", f.size)
	}
	if _, err := io.Copy(h, io.NewSectionReader(part, 0, f.size)); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != f.hash {
		return fmt.Errorf("the bytes received are corrupt: %s %s, the hub lists %s", kind, got, f.hash)
	}
	return nil
}

// escapePath escapes each part of a file's path for a URL.
func escapePath(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}
