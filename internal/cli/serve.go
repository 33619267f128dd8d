package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/reasond/reasond/internal/config"
	"github.com/reasond/reasond/internal/pipeline"
	"github.com/reasond/reasond/internal/server"
)

func newServe(w world) *cobra.Command {
	o := config.DefaultServe()
	c := &cobra.Command{
		Use:   "serve [MODEL]",
		Short: "Serve a model behind the OpenAI API",
		Long: `Serve a model behind the OpenAI API. MODEL is a folder of safetensors, a .gguf
file or a hub id such as Qwen/Qwen3-0.6B; without it, the small model that is
built in. Every flag can be given as a variable: --max-model-len is
REASOND_MAX_MODEL_LEN. "_" equals "-" in flag names, and the names that vLLM,
SGLang, llama-server and LMDeploy use are understood too.

SIGTERM or Ctrl-C lets running answers finish, for --drain-timeout at most; a
second one ends the program at once.`,
	}
	return command(c, w, o.AddFlags, cobra.ArbitraryArgs, func(ctx context.Context, args []string) error {
		if err := errors.Join(o.Model.Arguments(args), o.Validate()); err != nil {
			return usageError{err}
		}
		return runServe(ctx, w, o)
	})
}

func runServe(ctx context.Context, w world, o config.Serve) (err error) {
	keys, err := o.Keys(os.ReadFile)
	if err != nil {
		return err
	}
	log := newLogger(w.err, o.LogLevel, o.LogFormat)
	for _, note := range o.NoEffect {
		log.Warn(note)
	}
	// The port comes first: that it is taken must not be learnt after a download.
	listener, err := listen(&o)
	if err != nil {
		return err
	}
	defer listener.Close()
	srv, err := server.New(server.Config{
		AnyModelName: o.AnyModelName,
		APIKeys:      keys, PublicPaths: o.Public, AllowedHosts: o.Hosts,
		Version: Version(), Logger: log, KeepAlive: keepAlive(o.KeepAlive),
		Reasoning: answersReasoning(o.Reasoning), Compat: o.MetricsCompat,
	})
	if err != nil {
		return err
	}
	// /healthz answers while the model is loaded, and /readyz says that it is.
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, listener) }()
	opened, err := openAll(ctx, w, log, &o, srv.Loading)
	if err != nil {
		_ = srv.Close()
		<-served
		return err
	}
	var models []*pipeline.Model
	for _, b := range opened {
		defer func() { err = errors.Join(err, b.Close()) }()
		models = append(models, b.Model)
	}
	if err := srv.Open(models...); err != nil {
		return errors.Join(err, srv.Close(), <-served)
	}
	// From here a signal is ours; one that comes earlier simply ends the program.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	announce(w.out, models[0].Name, listener.Addr(), len(keys) > 0)
	settle(w)
	return serveUntilSignal(srv, served, signals, o.DrainTimeout, log)
}

// keepAlive is the server's setting, in which 0 stands for its default.
func keepAlive(d time.Duration) time.Duration {
	if d == 0 {
		return math.MaxInt64
	}
	return d
}

func listen(o *config.Serve) (net.Listener, error) {
	network, address := o.Address()
	l, err := net.Listen(network, address)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return l, err
	}
	if network == "tcp" {
		return nil, fmt.Errorf("--port %d: another program listens on %s (--port 0 picks a free one)", o.Port, address)
	}
	// A server that was killed leaves its socket behind; nobody answers there.
	if c, err := net.Dial(network, address); err == nil {
		_ = c.Close()
		return nil, fmt.Errorf("--uds %s: another program listens there", address)
	} else if !errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("--uds %s: %w", address, err)
	}
	if err := os.Remove(address); err != nil {
		return nil, fmt.Errorf("--uds: %w", err)
	}
	return net.Listen(network, address)
}

// serveUntilSignal waits until the server has ended or a signal comes, and then
// lets answers finish for at most drain. A second signal ends the process.
func serveUntilSignal(srv *server.Server, served <-chan error, signals <-chan os.Signal, drain time.Duration, log *slog.Logger) error {
	select {
	case err := <-served:
		return err
	case s := <-signals:
		log.Info("stopping", "signal", s.String(), "drain", drain.String())
	}
	limit, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		if err := srv.Drain(limit); err != nil {
			log.Warn("answers were cut", "after", drain.String())
		}
	}()
	select {
	case <-drained:
		return <-served
	case s := <-signals:
		return errors.Join(fmt.Errorf("ended by a second signal (%s)", s), srv.Close())
	}
}
