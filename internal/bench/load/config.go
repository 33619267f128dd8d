package load

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config says whom to ask, what and how often. Either Concurrency clients ask one
// request after the other, or requests arrive Rate times a second by chance, as
// Poisson's process has it, and then Concurrency, if not 0, bounds those at once.
type Config struct {
	URL         string // of the server, or of its /v1
	Key         string
	Model       string // in requests
	Completions bool   // /v1/completions instead of /v1/chat/completions

	Concurrency int
	Rate        float64       // requests a second; 0: Concurrency clients in turn
	Requests    int           // in all
	For         time.Duration // no request starts later; 0: all Requests are made
	Timeout     time.Duration // of a request; 0: none

	Prompts   *Prompts
	First     int // the number of the first request's prompt: runs on one server should share none
	MaxTokens int
	IgnoreEOS bool // ask for all of MaxTokens: ignore_eos and min_tokens
	Stream    bool
	Extra     map[string]json.RawMessage // further fields of the request's body

	SLO  SLO
	Seed uint64 // of the arrivals

	// Client makes the requests; nil: one of its own.
	Client *http.Client
	// Progress is told how many requests are over; nil: nobody asks.
	Progress func(done, total int)
}

// check says what cannot be asked for.
func (c *Config) check() error {
	for i, p := range c.Prompts.List {
		if c.Completions && p.Messages != nil {
			return fmt.Errorf("prompt %d is a chat's messages, which cannot go to /v1/completions", i+1)
		}
	}
	return nil
}

// endpoint is where a request goes.
func (c *Config) endpoint(path string) (string, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("%q is no URL such as http://127.0.0.1:8000", c.URL)
	}
	return u.JoinPath(strings.TrimSuffix(u.Path, "/"), path).String(), nil
}
