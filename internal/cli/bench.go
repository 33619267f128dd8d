package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/reasond/reasond/internal/bench"
	"github.com/reasond/reasond/internal/bundle"
	"github.com/reasond/reasond/internal/config"
	"github.com/reasond/reasond/internal/weights"
)

// benchOptions are those of a run on a model.
type benchOptions struct {
	model      config.Model
	measure    bench.Config
	patience   time.Duration
	perplexity string // a file
	window     int
	json       bool
	compare    string // a file
	within     float64
	report     string // a file
	load       loadOptions
	local      []*pflag.Flag // those that only a run on a model has
}

func defaultBench() benchOptions {
	return benchOptions{
		model:    config.DefaultModel(),
		measure:  bench.Config{Prefill: []int{512}, Decode: []int{128}, Batch: []int{1, 4, 16, 64}, Depth: []int{0}, Repetitions: 5, Chunk: 512},
		patience: 10 * time.Second, window: 512, within: -1, load: defaultLoad(),
	}
}

const mostTokens = 1 << 20

func (o *benchOptions) AddFlags(f *config.Flags) {
	add := func(v pflag.Value, name, short, usage string, aliases ...string) {
		o.local = append(o.local, f.Var(v, name, short, usage, aliases...))
	}
	m := &o.measure
	add(config.Ints(&m.Prefill, "tokens", 0, mostTokens), "prefill", "p", "lengths of prompts that are computed; 0: none", "n-prompt")
	add(config.Ints(&m.Decode, "tokens", 0, mostTokens), "decode", "n", "tokens that each sequence is decoded by; 0: none", "n-gen")
	add(config.Ints(&m.Batch, "n", 1, 4096), "batch", "", "sequences that are decoded at once")
	add(config.Ints(&m.Depth, "tokens", 0, mostTokens), "depth", "d", "tokens that lie before those that are measured", "n-depth")
	add(config.Ints(&m.Threads, "n", 1, config.MaxThreads), "threads", "t", "CPU threads (default: the cores that the process may use)")
	add(config.Int(&m.Repetitions, "n", 1, 10000), "repetitions", "r", "times that each measurement is made; the median counts")
	add(config.Duration(&o.patience), "patience", "", "a measurement that takes longer is made three times at most; 0: always --repetitions times")
	add(config.Int(&m.Chunk, "tokens", 1, config.MaxBatchedTokens), "max-num-batched-tokens", "b", "most tokens of a prompt in one step", "ubatch-size")
	add(config.DeviceValue(&o.model.Device), "device", "", "what computes; auto: a GPU if there is one, else the CPU")
	o.model.Libraries.AddFlags(f)
	add(config.Choice(&o.model.DType, "auto", "float32"), "dtype", "", "auto: fast; float32: exact, with all weights expanded")
	add(config.String(&o.perplexity), "perplexity", "", "measure the perplexity of a text file instead")
	add(config.Int(&o.window, "tokens", 2, mostTokens), "window", "", "of --perplexity: tokens that are scored together")
	add(config.String(&o.compare), "compare", "", "the JSON of an earlier run; each row is compared with its own there")
	add(config.Float(&o.within, 0, 100), "within", "", "of --compare: fail where something is worse by more than so many percent")
	add(config.String(&o.model.DownloadDir), "download-dir", "", "where downloads go (default: Hugging Face's cache folder)")
	f.Var(config.Bool(&o.json), "json", "", "write a JSON object")
	f.Var(config.String(&o.report), "report", "", "write an HTML page with plots to this file")
	o.load.AddFlags(f)
}

func newBench(w world) *cobra.Command {
	o := defaultBench()
	c := &cobra.Command{
		Use:   "bench [MODEL]",
		Short: "Measure how fast a model runs, beside what the machine can do",
		Long: `Measure prefill, decoding and decoding of several sequences at once, step by step
as the server does it, beside the speed of the machine's memory and the peak of
its multipliers, which are measured too. MODEL is a folder, a .gguf file or a hub
id; without it, the model that is built in.

  reasond bench model.gguf -p 512 -n 128 --batch 1,4,16,64 --depth 0,1024
  reasond bench model.gguf --json >before.json
  reasond bench model.gguf --compare before.json --within 5
  reasond bench model.gguf --perplexity text.txt --dtype float32

With --url it is the load of many clients on a running server: how long they wait
for the first token, for the first token of the answer behind the reasoning, and
from token to token. Ctrl-C ends a run with what was measured.

  reasond bench --url http://127.0.0.1:8000 --concurrency 1,4,16,64
  reasond bench --url http://127.0.0.1:8000 --rate 2 --seconds 60 --slo ttft=500ms,itl=50ms`,
	}
	return command(c, w, o.AddFlags, cobra.MaximumNArgs(1), func(ctx context.Context, args []string) error {
		if err := o.finish(args); err != nil {
			return usageError{err}
		}
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		if o.load.url != "" {
			return runLoad(ctx, w, &o.load, o.json, o.report)
		}
		return runBench(ctx, w, o)
	})
}

// finish checks what one flag's value cannot tell alone.
func (o *benchOptions) finish(args []string) error {
	if err := o.model.Arguments(args); err != nil {
		return err
	}
	if o.load.url != "" {
		if flag := typed(o.local); flag != nil {
			return fmt.Errorf("--%s is of a run on a model, --url of one against a server", flag.Name)
		}
		return o.load.finish(o.model.Path)
	}
	if flag := typed(o.load.flags); flag != nil {
		return fmt.Errorf("--%s needs --url", flag.Name)
	}
	m := &o.measure
	m.Prefill, m.Decode = positive(m.Prefill), positive(m.Decode)
	if len(m.Threads) == 0 {
		m.Threads = []int{0}
	}
	m.Float32, m.Patience = o.model.DType == "float32", o.patience
	switch {
	case len(m.Prefill)+len(m.Decode) == 0 && o.perplexity == "":
		return errors.New("--prefill 0, --decode 0: there is nothing to measure")
	case o.within >= 0 && o.compare == "":
		return errors.New("--within needs --compare")
	case o.perplexity == "" && typed(o.local, "window") != nil:
		return errors.New("--window needs --perplexity")
	case o.perplexity != "" && len(m.Threads) > 1:
		return errors.New("--perplexity takes one number of --threads")
	}
	if o.perplexity != "" {
		if flag := typed(o.local, "prefill", "decode", "batch", "depth", "repetitions", "patience"); flag != nil {
			return fmt.Errorf("--%s is not of --perplexity", flag.Name)
		}
	}
	return nil
}

// typed is a flag of the list, or of those so named, that the command line has, or
// nil.
func typed(list []*pflag.Flag, names ...string) *pflag.Flag {
	for _, flag := range list {
		if config.Typed(flag) && (len(names) == 0 || slices.Contains(names, flag.Name)) {
			return flag
		}
	}
	return nil
}

func positive(list []int) []int {
	var some []int
	for _, n := range list {
		if n > 0 {
			some = append(some, n)
		}
	}
	return some
}

func runBench(ctx context.Context, w world, o benchOptions) error {
	before, err := readResult(o.compare) // before it takes minutes
	if err != nil {
		return err
	}
	result, err := o.run(ctx, w)
	if result == nil || err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if err != nil {
		fmt.Fprintln(w.err, "reasond: interrupted; this was measured until then")
	}
	result.Version = Version()
	if o.report != "" {
		if err := writeFile(o.report, func(out io.Writer) error { return result.HTML(out, before) }); err != nil {
			return fmt.Errorf("--report: %w", err)
		}
	}
	if o.json {
		e := json.NewEncoder(w.out)
		e.SetIndent("", "  ")
		err = e.Encode(result)
	} else {
		err = result.Print(w.out, before)
	}
	if err != nil || before == nil {
		return err
	}
	if !result.Comparable(before) {
		return fmt.Errorf("--compare: %s has none of what was measured", o.compare)
	}
	if o.within < 0 {
		return nil
	}
	if worse := result.Worse(before, o.within/100); len(worse) > 0 {
		return fmt.Errorf("worse than %s by more than %g %%: %s", o.compare, o.within, strings.Join(worse, "; "))
	}
	return nil
}

// run measures; what is there when ctx is done comes with its error.
func (o *benchOptions) run(ctx context.Context, w world) (*bench.Result, error) {
	device, _, err := chooseDevice(&o.model)
	if err != nil {
		return nil, err
	}
	src, name, err := o.weights(ctx, w)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	on := bundle.Device{
		CUDA: device.Kind == config.DeviceCUDA, Index: device.Index,
		Driver: o.model.Libraries.Driver, BLAS: o.model.Libraries.CUBLASLt,
	}
	bar := newCountBar(w.err)
	defer bar.Close()
	var r *bench.Result
	if o.perplexity != "" {
		r, err = o.score(ctx, src, on.Backend, bar.Report)
	} else {
		r, err = bench.Run(ctx, o.measure, src, on.Backend, bar.Report)
	}
	if r != nil && name != "" {
		r.Model.Name = name
	}
	return r, err
}

// weights opens the model; name is what to call it, where that is not its path.
func (o *benchOptions) weights(ctx context.Context, w world) (src *weights.Model, name string, err error) {
	path := o.model.Path
	if path != "" {
		log := newLogger(w.err, "warn", "auto")
		bars := newProgress(w.err, log)
		defer bars.Close()
		found, err := locate(ctx, w, log, bars, path, o.model.DownloadDir)
		if err != nil {
			return nil, "", err
		}
		path, name = found.path, found.name
	}
	src, err = bundle.Weights(path)
	return src, name, err
}

// largestText is the most bytes of a text whose perplexity is measured.
const largestText = 64 << 20

func (o *benchOptions) score(ctx context.Context, src *weights.Model, open bench.Opener, report bench.Progress) (*bench.Result, error) {
	f, err := os.Open(o.perplexity)
	if err != nil {
		return nil, fmt.Errorf("--perplexity: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, largestText+1))
	if err != nil {
		return nil, fmt.Errorf("--perplexity: %w", err)
	}
	if len(text) > largestText {
		return nil, fmt.Errorf("--perplexity: %s is larger than %s", o.perplexity, bytesText(largestText))
	}
	tok, err := bundle.Tokenizer(src)
	if err != nil {
		return nil, err
	}
	defer tok.Close()
	ids, err := tok.Encode(string(text), nil)
	if err != nil {
		return nil, err
	}
	return bench.MeasurePerplexity(ctx, src, open, ids, o.window, min(o.measure.Chunk, o.window), o.measure.Threads[0], o.measure.Float32, report)
}

// readResult reads an earlier run; an empty name is none.
func readResult(name string) (*bench.Result, error) {
	if name == "" {
		return nil, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("--compare: %w", err)
	}
	var r bench.Result
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("--compare: %s: %w", name, err)
	}
	if r.Schema != bench.Schema {
		return nil, fmt.Errorf("--compare: %s is of schema %d, this is %d", name, r.Schema, bench.Schema)
	}
	return &r, nil
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
