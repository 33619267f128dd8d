package load

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Outcome is what became of the requests of a run.
type Outcome struct {
	Requests    []Request // that ended, in the order of their starts
	Interrupted int       // that were under way when the run was ended
	Wall        time.Duration
	Busy        time.Duration // this process's own CPU time: near Wall times the cores, the client is what was measured
}

// Run makes the requests. With ctx done it starts no more, cuts those under way and
// returns the rest, which is no error.
func Run(ctx context.Context, cfg Config) (*Outcome, error) {
	endpoint, err := cfg.answers()
	if err == nil {
		err = cfg.check()
	}
	if err != nil {
		return nil, err
	}
	// All bodies are made beforehand where their number is known: making them takes
	// time that belongs to nobody.
	s := &session{cfg: &cfg, endpoint: endpoint}
	for i := range cfg.Requests {
		s.bodies = append(s.bodies, cfg.body(cfg.Prompts.At(cfg.First+i), cfg.MaxTokens))
	}
	if cfg.Client == nil {
		cfg.Client = newClient(true)
	}
	busy := processTime()
	s.begin = time.Now()
	if cfg.Rate > 0 {
		s.arrivals(ctx)
	} else {
		s.clients(ctx)
	}
	s.running.Wait()
	s.out.Wall, s.out.Busy = time.Since(s.begin), processTime()-busy
	slices.SortStableFunc(s.out.Requests, func(a, b Request) int { return int(a.Start - b.Start) })
	return &s.out, nil
}

// answers is the endpoint that makes them.
func (c *Config) answers() (string, error) {
	if c.Completions {
		return c.endpoint("v1/completions")
	}
	return c.endpoint("v1/chat/completions")
}

// newClient is a client of as many connections as are wanted.
func newClient(keepAlive bool) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost, t.DisableCompression, t.DisableKeepAlives = 0, 1<<16, true, !keepAlive
	t.Proxy = nil // what is measured is the server
	return &http.Client{Transport: t}
}

type session struct {
	cfg      *Config
	endpoint string
	bodies   [][]byte
	begin    time.Time
	running  sync.WaitGroup

	mu  sync.Mutex
	out Outcome
	// started counts requests, also those not yet over.
	started int
}

// claim is the number of the next request, and whether there is one.
func (s *session) claim(ctx context.Context) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cfg
	if ctx.Err() != nil || c.Requests > 0 && s.started >= c.Requests || c.For > 0 && time.Since(s.begin) >= c.For {
		return 0, false
	}
	s.started++
	return s.started - 1, true
}

// clients ask one request after the other.
func (s *session) clients(ctx context.Context) {
	for range s.cfg.Concurrency {
		s.running.Go(func() {
			for {
				i, ok := s.claim(ctx)
				if !ok {
					return
				}
				s.one(ctx, i)
			}
		})
	}
}

// arrivals start requests by chance, whether earlier ones are over or not.
func (s *session) arrivals(ctx context.Context) {
	random := rand.New(rand.NewPCG(s.cfg.Seed, 1))
	var places chan struct{} // nil: as many at once as arrive
	if s.cfg.Concurrency > 0 {
		places = make(chan struct{}, s.cfg.Concurrency)
	}
	due := s.begin
	for {
		due = due.Add(time.Duration(random.ExpFloat64() / s.cfg.Rate * float64(time.Second)))
		if s.cfg.For > 0 && due.Sub(s.begin) >= s.cfg.For || !wait(ctx, time.Until(due)) {
			return
		}
		if places != nil {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
		i, ok := s.claim(ctx)
		if !ok {
			return
		}
		s.running.Go(func() {
			s.one(ctx, i)
			if places != nil {
				<-places
			}
		})
	}
}

// wait lets time pass and says whether ctx let it.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *session) one(ctx context.Context, i int) {
	var body []byte
	if i < len(s.bodies) {
		body = s.bodies[i]
	} else {
		body = s.cfg.body(s.cfg.Prompts.At(s.cfg.First+i), s.cfg.MaxTokens)
	}
	r := s.cfg.ask(ctx, s.endpoint, s.begin, body)
	s.mu.Lock()
	if r.Kind != "" && ctx.Err() != nil {
		s.out.Interrupted++
	} else {
		s.out.Requests = append(s.out.Requests, r)
	}
	done := len(s.out.Requests)
	s.mu.Unlock()
	if s.cfg.Progress != nil {
		s.cfg.Progress(done, s.cfg.Requests)
	}
}
