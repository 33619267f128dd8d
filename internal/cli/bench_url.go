package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/reasond/reasond/internal/bench/load"
	"github.com/reasond/reasond/internal/config"
)

// loadOptions are those of a run against a server.
type loadOptions struct {
	cfg         load.Config
	url         string
	keys        []string
	concurrency []int
	rate        []float64
	tokens      []int // of made prompts
	words       []int
	prompts     string // a file
	unique      bool
	keepAlive   bool
	seed        int
	flags       []*pflag.Flag // to tell which were given
}

func defaultLoad() loadOptions {
	return loadOptions{
		cfg:         load.Config{Requests: 64, MaxTokens: 128, Stream: true, IgnoreEOS: true},
		concurrency: []int{16}, words: []int{74}, unique: true, keepAlive: true,
	}
}

func (o *loadOptions) AddFlags(f *config.Flags) {
	add := func(v pflag.Value, name, short, usage string, aliases ...string) {
		o.flags = append(o.flags, f.Var(v, name, short, usage, aliases...))
	}
	f.Var(config.String(&o.url), "url", "", "measure the server there instead, of OpenAI's dialect; MODEL is then its name for the model", "base-url")
	add(config.List(&o.keys, "key"), "api-key", "", "of --url: key that the requests carry")
	add(config.Ints(&o.concurrency, "n", 1, 1<<16), "concurrency", "c", "of --url: clients that ask one request after the other, a level each; with --rate, the most requests at once", "max-concurrency")
	add(config.Floats(&o.rate, "per s", 0.001, 1e6), "rate", "", "of --url: requests a second that arrive by chance (Poisson), a level each, instead of clients in turn", "request-rate")
	add(config.Int(&o.cfg.Requests, "n", 1, math.MaxInt32), "requests", "", "of --url: requests of each level", "num-prompts")
	add(config.Duration(&o.cfg.For), "seconds", "", "of --url: start requests for so long, instead of --requests", "duration")
	add(config.Ints(&o.words, "n", 1, mostTokens), "prompt-words", "", "of --url: words of made prompts; several lengths take turns")
	add(config.Ints(&o.tokens, "tokens", 1, mostTokens), "prompt-tokens", "", "of --url: the same in tokens, template included, by the server's own count", "input-len")
	add(config.String(&o.prompts), "prompts", "", `of --url: file with a prompt a line: a JSON string, {"prompt": …} or {"messages": […]}`, "dataset-path")
	add(config.Bool(&o.unique), "unique", "", "of --url: made prompts differ from the first word on, so that no cache of prefixes helps")
	add(config.Int(&o.cfg.MaxTokens, "tokens", 1, math.MaxInt32), "max-tokens", "", "of --url: tokens of an answer", "output-len")
	add(config.Bool(&o.cfg.IgnoreEOS), "ignore-eos", "", "of --url: ask for all of --max-tokens, by ignore_eos and min_tokens")
	add(config.Bool(&o.cfg.Stream), "stream", "", "of --url: stream the answers; =false tells whole requests only")
	add(config.Bool(&o.cfg.Completions), "completions", "", "of --url: ask /v1/completions instead of /v1/chat/completions")
	add(config.Object(&o.cfg.Extra), "extra-body", "", "of --url: further fields of the requests, as a JSON object")
	add(&o.cfg.SLO, "slo", "", "of --url: bounds such as ttft=500ms,itl=50ms (also answer, tpot, e2e); tells how many requests keep all")
	add(config.Duration(&o.cfg.Timeout), "timeout", "", "of --url: of each request; 0: none")
	add(config.Bool(&o.keepAlive), "keep-alive", "", "of --url: use connections again")
	add(config.Int(&o.seed, "n", 0, math.MaxInt32), "seed", "", "of --url: of the arrivals with --rate")
}

// given is whether the command line or a variable has a flag.
func (o *loadOptions) given(name string) bool {
	return slices.ContainsFunc(o.flags, func(f *pflag.Flag) bool { return f.Name == name && f.Changed })
}

// finish checks what one flag's value cannot tell alone.
func (o *loadOptions) finish(model string) error {
	sources := 0
	for _, name := range []string{"prompt-words", "prompt-tokens", "prompts"} {
		if o.given(name) {
			sources++
		}
	}
	switch {
	case sources > 1:
		return errors.New("--prompt-words, --prompt-tokens and --prompts exclude each other")
	case o.given("seconds") && o.given("requests"):
		return errors.New("--seconds and --requests exclude each other")
	case o.given("seconds") && o.cfg.For <= 0:
		return errors.New("--seconds is 0")
	case len(o.keys) > 1:
		return errors.New("--api-key: one key is enough")
	case o.prompts != "" && typed(o.flags, "unique") != nil:
		return errors.New("--unique is of made prompts, not of --prompts")
	case len(o.rate) == 0 && typed(o.flags, "seed") != nil:
		return errors.New("--seed needs --rate")
	case len(o.rate) > 0 && o.given("concurrency") && len(o.concurrency) > 1:
		return errors.New("--rate takes one --concurrency")
	}
	if bound := o.cfg.SLO.OfTokens(); bound != "" && !o.cfg.Stream {
		return fmt.Errorf("--slo %s needs --stream", bound)
	}
	o.cfg.URL, o.cfg.Model, o.cfg.Seed = o.url, model, uint64(o.seed)
	if len(o.keys) == 1 {
		o.cfg.Key = o.keys[0]
	}
	if o.cfg.For > 0 {
		o.cfg.Requests = 0
	}
	return nil
}

// levels are the runs.
func (o *loadOptions) levels() []load.Config {
	var list []load.Config
	for _, rate := range o.rate {
		c := o.cfg
		c.Rate = rate
		if o.given("concurrency") {
			c.Concurrency = o.concurrency[0]
		}
		list = append(list, c)
	}
	if len(list) > 0 {
		return list
	}
	for _, n := range o.concurrency {
		c := o.cfg
		c.Concurrency = n
		list = append(list, c)
	}
	return list
}

// prepare finds the model and makes the prompts.
func (o *loadOptions) prepare(ctx context.Context) error {
	o.cfg.Prompts = &load.Prompts{Words: o.words}
	if o.unique {
		o.cfg.Prompts.Nonce = fmt.Sprintf("%04d-", time.Now().Unix()%10000)
	}
	if o.prompts != "" {
		f, err := os.Open(o.prompts)
		if err != nil {
			return fmt.Errorf("--prompts: %w", err)
		}
		defer f.Close()
		if o.cfg.Prompts, err = load.ReadPrompts(f); err != nil {
			return fmt.Errorf("--prompts: %s: %w", o.prompts, err)
		}
	}
	if err := load.Open(ctx, &o.cfg, o.keepAlive); err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	if len(o.tokens) > 0 {
		words, err := load.WordsFor(ctx, o.cfg, o.tokens)
		if err != nil {
			return fmt.Errorf("--prompt-tokens: %w", err)
		}
		o.cfg.Prompts.Words = words
	}
	if err := load.Probe(ctx, o.cfg); err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	return nil
}

// runLoad measures a server. Ctrl-C ends it with what was measured.
func runLoad(ctx context.Context, w world, o *loadOptions, asJSON bool, report string) error {
	if err := o.prepare(ctx); err != nil {
		return err
	}
	result := &load.Result{Schema: load.Schema, Version: Version(), Date: time.Now().UTC(), URL: o.url, Model: o.cfg.Model}
	bar, first := newCountBar(w.err), 0
	levels := o.levels()
	for i, cfg := range levels {
		if ctx.Err() != nil {
			break
		}
		what := fmt.Sprintf("level %d of %d", i+1, len(levels))
		cfg.Progress = func(done, total int) { bar.Report(done, total, what) }
		cfg.First = first
		out, err := load.Run(ctx, cfg)
		if err != nil {
			bar.Close()
			return err
		}
		result.Add(&cfg, out)
		first += len(out.Requests) + out.Interrupted
	}
	bar.Close()
	if report != "" {
		if err := writeFile(report, result.HTML); err != nil {
			return fmt.Errorf("--report: %w", err)
		}
	}
	return writeLoad(w.out, result, asJSON)
}

func writeLoad(out io.Writer, r *load.Result, asJSON bool) error {
	if !asJSON {
		return r.Print(out)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
