package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/reasond/reasond/internal/config"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/server"
)

type batchOptions struct {
	model        config.Model
	input        string
	output       string
	served       []string
	anyModelName bool
	parallel     int
}

func (o *batchOptions) AddFlags(f *config.Flags) {
	f.Var(config.String(&o.input), "input-file", "i", "JSON lines, each a request; - is standard input", "input")
	f.Var(config.String(&o.output), "output-file", "o", "where the answers go, a line a request, in the order of the input; - is standard output", "output")
	f.Var(config.Int(&o.parallel, "n", 1, 1<<16), "concurrency", "", "requests at once (default: as many as the model computes in one step)")
	f.Var(config.List(&o.served, "name"), "served-model-name", "", "name that requests give the model; may be repeated", "alias")
	f.Var(config.Bool(&o.anyModelName), "any-model-name", "", "accept whatever model name a request gives")
	o.model.AddFlags(f)
}

func newBatch(w world) *cobra.Command {
	o := batchOptions{model: config.DefaultModel()}
	c := &cobra.Command{
		Use:   "batch [MODEL] -i FILE -o FILE",
		Short: "Answer a file of requests, without a server",
		Long: `Answer a file of requests in the form of OpenAI's batch API, without a server.
Each line of the input is a request:

  {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {...}}

and becomes a line of the output: id, custom_id, response (status_code,
request_id, body) and error. A line that is no request gets an error and stops
nothing. The exit code is 1 where a line has not been answered with success.`,
	}
	return command(c, w, o.AddFlags, cobra.ArbitraryArgs, func(ctx context.Context, args []string) error {
		if err := errors.Join(o.model.Arguments(args), o.validate()); err != nil {
			return usageError{err}
		}
		return runBatch(ctx, w, o)
	})
}

func (o *batchOptions) validate() error {
	switch {
	case o.input == "" || o.output == "":
		return errors.New("batch needs --input-file and --output-file")
	case o.input == o.output && o.input != "-":
		return errors.New("--output-file is the input file")
	}
	return nil
}

func runBatch(ctx context.Context, w world, o batchOptions) (err error) {
	in, size, err := o.openInput(w)
	if err != nil {
		return err
	}
	defer in.Close()
	if o.parallel == 0 {
		o.parallel = o.model.MaxSeqs
	}
	log := newLogger(w.err, "warn", "auto")
	model, err := openModel(ctx, w, log, &o.model, serving{names: o.served, maxQueue: o.parallel})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	srv, err := server.New(server.Config{
		Models: []*pipeline.Model{model.Model}, AnyModelName: o.anyModelName, Version: Version(), Logger: log, MaxRequests: o.parallel,
	})
	if err != nil {
		return err
	}
	defer srv.Close()
	out, done, err := o.openOutput(w)
	if err != nil {
		return err
	}
	bars := newProgress(w.err, log)
	defer bars.Close()
	report := func(done int64) {
		if size > 0 {
			bars.Report("answering", done, size)
		}
	}
	b := batch{answer: srv.Chat, parallel: o.parallel, progress: report}
	if err = b.run(ctx, in, out); err == nil {
		report(size) // empty lines at the end are nobody's
	}
	err = errors.Join(err, done())
	if err == nil && b.failed > 0 {
		err = fmt.Errorf("%d of %d requests failed; the output says why", b.failed, b.lines)
	}
	return err
}

// openInput also says how many bytes there are, 0 where that is not known.
func (o *batchOptions) openInput(w world) (io.ReadCloser, int64, error) {
	if o.input == "-" {
		return io.NopCloser(w.in), 0, nil
	}
	f, err := os.Open(o.input)
	if err != nil {
		return nil, 0, fmt.Errorf("--input-file: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

func (o *batchOptions) openOutput(w world) (io.Writer, func() error, error) {
	if o.output == "-" {
		return w.out, func() error { return nil }, nil
	}
	f, err := os.Create(o.output)
	if err != nil {
		return nil, nil, fmt.Errorf("--output-file: %w", err)
	}
	return f, f.Close, nil
}

// largestLine bounds a line of a batch file, bytes.
const largestLine = 16 << 20

// readLine reads a line without its break; size counts all its bytes. Of a line
// over largestLine the rest is dropped and long is set. io.EOF: there is no
// further line.
func readLine(r *bufio.Reader) (line []byte, size int64, long bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		size += int64(len(part))
		if !long {
			line = append(line, part...)
			if long = len(line) > largestLine; long {
				line = nil
			}
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && size > 0:
			err = nil
		}
		return bytes.TrimSpace(line), size, long, err
	}
}
