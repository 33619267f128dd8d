package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	maxListing   = 32 << 20 // bytes of the hub's answer about a revision
	maxFiles     = 20000
	maxRedirects = 10
)

// client speaks to one hub.
type client struct {
	Config
	http *http.Client
}

func newClient(c Config) (*client, error) {
	endpoint, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, err
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.DialContext = (&net.Dialer{Timeout: 20 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	base.ResponseHeaderTimeout = c.Stall
	return &client{Config: c, http: &http.Client{
		Transport:     tokenTransport{base: base, endpoint: endpoint, token: c.Token, agent: c.Agent},
		CheckRedirect: checkRedirect,
	}}, nil
}

// tokenTransport adds the token to requests for the endpoint itself. Wherever
// else a redirect leads, a subdomain or another port included, it is not sent.
type tokenTransport struct {
	base         http.RoundTripper
	endpoint     *url.URL
	token, agent string
}

func (t tokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", t.agent)
	req.Header.Del("Authorization")
	if t.token != "" && req.URL.Scheme == t.endpoint.Scheme && strings.EqualFold(req.URL.Host, t.endpoint.Host) {
		req.Header.Set("Authorization", "Bearer "+t.token)
	}
	return t.base.RoundTrip(req)
}

func checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= maxRedirects:
		return errors.New("too many redirects")
	case req.URL.Scheme != "https" && via[0].URL.Scheme == "https":
		return errors.New("the hub redirects to an insecure address")
	}
	return nil
}

// get sends one request. A network failure is unreachable, a status other than
// 200, 206 or 416 a statusError.
func (c *client) get(ctx context.Context, address string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	for key, values := range header {
		req.Header[key] = values
	}
	// Compressed transfer would make lengths and ranges meaningless.
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable{plainNetError(err)}
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		return resp, nil
	}
	resp.Body.Close()
	e := statusError{status: resp.StatusCode, code: resp.Header.Get("X-Error-Code")}
	if e.temporary() {
		return nil, unreachable{e}
	}
	return nil, e
}

// temporary reports whether the same request may succeed later.
func (e statusError) temporary() bool {
	return e.status == http.StatusTooManyRequests || e.status == http.StatusRequestTimeout || e.status >= 500
}

// plainNetError drops the address from net/http's error: redirect targets hold
// signatures.
func plainNetError(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return fmt.Errorf("the hub cannot be reached: %w", u.Err)
	}
	return err
}

// file is a file of a revision as the hub lists it.
type file struct {
	name string
	size int64
	hash string // the blob's name in the cache: see lfs
	lfs  bool   // hash is the bytes' SHA-256, else git's blob id (a SHA-1)
}

// listing is a revision's files.
type listing struct {
	Commit string
	files  map[string]file
}

func (l *listing) names() []string {
	names := make([]string, 0, len(l.files))
	for name := range l.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// list asks for the commit and the files of a revision.
func (c *client) list(ctx context.Context, ref Ref) (*listing, error) {
	address := c.Endpoint + "/api/models/" + ref.Repo + "/revision/" + url.PathEscape(ref.Revision) + "?blobs=true"
	ctx, cancel := context.WithTimeout(ctx, 2*c.Stall)
	defer cancel()
	resp, err := c.get(ctx, address, nil)
	if err != nil {
		return nil, c.explain(err, ref)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxListing+1))
	if err != nil {
		return nil, unreachable{plainNetError(err)}
	}
	if len(raw) > maxListing {
		return nil, fmt.Errorf("the hub's answer is over %d bytes", maxListing)
	}
	return parseListing(raw)
}

var (
	sha1Pattern   = commitPattern
	sha256Pattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func parseListing(raw []byte) (*listing, error) {
	var answer struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name string `json:"rfilename"`
			Size int64  `json:"size"`
			Blob string `json:"blobId"`
			LFS  *struct {
				SHA256 string `json:"sha256"`
				Size   int64  `json:"size"`
			} `json:"lfs"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, fmt.Errorf("the hub's answer about the model is not as expected: %w", err)
	}
	if !commitPattern.MatchString(answer.SHA) {
		return nil, errors.New("the hub's answer names no commit")
	}
	if len(answer.Siblings) > maxFiles {
		return nil, fmt.Errorf("the repository has %d files, at most %d are listed", len(answer.Siblings), maxFiles)
	}
	l := &listing{Commit: answer.SHA, files: map[string]file{}}
	for _, s := range answer.Siblings {
		f := file{name: s.Name, size: s.Size, hash: s.Blob}
		pattern := sha1Pattern
		if s.LFS != nil {
			f.size, f.hash, f.lfs = s.LFS.Size, s.LFS.SHA256, true
			pattern = sha256Pattern
		}
		switch {
		case !plainPath(f.name):
			return nil, fmt.Errorf("the hub lists a file of the name %.80q, which is refused", f.name)
		case f.size < 0 || !pattern.MatchString(f.hash):
			return nil, fmt.Errorf("the hub lists %.80q without size or hash", f.name)
		}
		l.files[f.name] = f
	}
	return l, nil
}

// explain turns the hub's refusal into what the user can do.
func (c *client) explain(err error, ref Ref) error {
	var s statusError
	if !errors.As(err, &s) || s.temporary() {
		return err
	}
	host := strings.TrimPrefix(strings.TrimPrefix(c.Endpoint, "https://"), "http://")
	switch {
	case s.code == "GatedRepo":
		return fmt.Errorf("its owner asks for an agreement: accept it at %s/%s, then set HF_TOKEN to a token of your account", c.Endpoint, ref.Repo)
	case s.code == "RevisionNotFound":
		return fmt.Errorf("%s has no revision %.80q of it", host, ref.Revision)
	case s.status == http.StatusUnauthorized || s.status == http.StatusForbidden:
		if c.Token != "" {
			return fmt.Errorf("%s refuses access (%d): it does not exist, or the token in HF_TOKEN does not open it", host, s.status)
		}
		return fmt.Errorf("%s refuses access (%d): it does not exist, or it is private and needs HF_TOKEN", host, s.status)
	case s.status == http.StatusNotFound:
		return fmt.Errorf("%s does not have it (404)", host)
	}
	return fmt.Errorf("%s answers %d", host, s.status)
}
