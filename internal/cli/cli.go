// Package cli is reasond's command line: one file a command. A command is an
// options struct that adds its flags, finishes itself from arguments and
// environment, and runs without knowing cobra. This package puts the other
// packages together; none of them knows it.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/reasond/reasond/internal/config"
)

// Exit codes of every command.
const (
	exitOK    = 0
	exitError = 1 // it was tried and failed
	exitUsage = 2 // the command line makes no sense
)

const exitCodes = `Exit codes: 0 success, 1 failure, 2 a command line that makes no sense.`

// world is what a command sees of the process.
type world struct {
	in       io.Reader
	out, err io.Writer
	getenv   config.Getenv
}

// Main runs the command line with the process's own streams and environment.
func Main(args []string) int {
	w := world{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.LookupEnv}
	return run(context.Background(), args, w)
}

// run executes one command line. A failure is one line on w.err.
func run(ctx context.Context, args []string, w world) int {
	root := newRoot(w)
	root.SetArgs(config.Spell(args))
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(w.err, "reasond:", oneLine(err))
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitError
}

func newRoot(w world) *cobra.Command {
	root := &cobra.Command{
		Use:   "reasond",
		Short: "Serve reasoning models behind the OpenAI API",
		Long: `reasond serves a reasoning model behind the OpenAI API and splits every answer
into reasoning_content and content.

  reasond serve                                              the small model that is built in
  reasond serve Qwen/Qwen3-0.6B --reasoning-parser qwen3     a model of the Hugging Face hub
  reasond chat                                               talk in the terminal`,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		Args:                       usageArgs(noSuchCommand),
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(w.in)
	root.SetOut(w.out)
	root.SetErr(w.err)
	root.SetHelpCommand(&cobra.Command{Hidden: true, Use: "no-help"})
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		newServe(w),
		newChat(w),
		newInspect(w),
		newDevices(w),
		newRender(w),
		newParse(w),
		newGenerate(w),
		newBatch(w),
		newBench(w),
		newVersion(w),
	)
	return root
}

// noSuchCommand is reached with arguments only when no command has that name.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("unknown command %q (did you mean %s?)", args[0], strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown command %q (reasond --help lists them)", args[0])
}

// command builds a cobra command whose flags are set from the command line,
// then from the environment. define adds them; act runs with the arguments.
func command(c *cobra.Command, w world, define func(*config.Flags), args cobra.PositionalArgs, act func(ctx context.Context, args []string) error) *cobra.Command {
	flags := config.NewFlags(c.Flags())
	define(flags)
	c.Long += "\n\n" + exitCodes
	c.Args = usageArgs(args)
	c.DisableFlagsInUseLine = true
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usageError{flags.Explain(err)}
	})
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if err := flags.ApplyEnv(w.getenv); err != nil {
			return usageError{err}
		}
		return act(cmd.Context(), args)
	}
	return c
}

// usageError marks a command line that makes no sense.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// oneLine is err's text with line breaks and runs of space made single spaces.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// terminal reports whether a stream is a terminal.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
