package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Open completes a Config: a client that keeps connections or does not, and where no
// model is named the server's first.
func Open(ctx context.Context, cfg *Config, keepAlive bool) error {
	if cfg.Client == nil {
		cfg.Client = newClient(keepAlive)
	}
	if cfg.Model != "" {
		return nil
	}
	endpoint, err := cfg.endpoint("v1/models")
	if err != nil {
		return err
	}
	resp, err := cfg.send(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, longestLine))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", endpoint, resp.Status, messageOf(data))
	}
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(data, &list); err != nil || len(list.Data) == 0 {
		return fmt.Errorf("%s lists no model: name one", endpoint)
	}
	cfg.Model = list.Data[0].ID
	return nil
}

// Probe makes one short request, which warms the server up and finds out early what
// would go wrong in all of them.
func Probe(ctx context.Context, cfg Config) error {
	_, err := cfg.probe(ctx, cfg.Prompts.At(probeNumber))
	return err
}

// A probe's prompt has a number that no run comes to.
const probeTokens, probeNumber = 4, 1 << 30

func (c Config) probe(ctx context.Context, p Prompt) (*Request, error) {
	endpoint, err := c.answers()
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return nil, err
	}
	c.IgnoreEOS = false
	r := c.ask(ctx, endpoint, time.Now(), c.body(p, probeTokens))
	if r.Kind != "" && r.Kind != kindEmpty {
		return nil, fmt.Errorf("%s: %s: %s", endpoint, r.Kind, r.Err)
	}
	return &r, nil
}

// WordsFor says how many words a made prompt needs to be so many tokens on the
// wire, template included, as the server's usage counts them: two prompts are tried
// and the rest is a straight line.
func WordsFor(ctx context.Context, cfg Config, tokens []int) ([]int, error) {
	const few, many = 32, 288
	var counted [2]int
	for i, n := range []int{few, many} {
		p := Prompts{Words: []int{n}, Nonce: cfg.Prompts.Nonce}
		r, err := cfg.probe(ctx, p.At(probeNumber+i))
		if err != nil {
			return nil, err
		}
		counted[i] = r.Prompt
	}
	each := float64(counted[1]-counted[0]) / (many - few)
	if counted[0] == 0 || each <= 0 {
		return nil, errors.New("the server's usage does not count the prompt's tokens: say how many words")
	}
	var list []int
	for _, n := range tokens {
		words := few + int(float64(n-counted[0])/each+0.5)
		if words < 1 {
			return nil, fmt.Errorf("a prompt of %d tokens is shorter than the template around it", n)
		}
		list = append(list, words)
	}
	return list, nil
}
