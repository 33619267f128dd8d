package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/reasond/reasond/internal/config"
	"github.com/reasond/reasond/internal/llm"
)

type chatOptions struct {
	model       config.Model
	url         string
	apiKey      string
	system      string
	temperature float64 // negative: the model's default
	maxTokens   int     // 0: what the context leaves
	reasoning   string  // auto, show, hide
}

func (o *chatOptions) AddFlags(f *config.Flags) {
	f.Var(config.String(&o.url), "url", "", "talk to this OpenAI-compatible server, such as http://127.0.0.1:8000")
	f.Var(config.String(&o.apiKey), "api-key", "", "key for --url")
	f.Var(config.String(&o.system), "system", "", "system message")
	f.Var(config.Float(&o.temperature, 0, 2), "temperature", "", "randomness; 0: always the likeliest token (default: the model's)")
	f.Var(config.Int(&o.maxTokens, "tokens", 1, 1<<30), "max-tokens", "", "longest answer (default: what the context leaves)")
	f.Var(config.Choice(&o.reasoning, "auto", "show", "hide"), "reasoning", "", "auto: shown dimmed on a terminal, left out elsewhere")
	o.model.AddFlags(f)
}

func newChat(w world) *cobra.Command {
	o := chatOptions{model: config.DefaultModel(), temperature: -1, reasoning: "auto"}
	c := &cobra.Command{
		Use:   "chat [MODEL]",
		Short: "Talk to a model in the terminal",
		Long: `Talk to a model in the terminal: a model that this process runs, or, with --url,
any OpenAI-compatible server. Each line is a message. /clear forgets the
conversation, /exit or the end of the input leaves, Ctrl-C stops an answer.
In a pipe only the answers are written.`,
	}
	return command(c, w, o.AddFlags, cobra.ArbitraryArgs, func(ctx context.Context, args []string) error {
		if err := o.model.Arguments(args); err != nil {
			return usageError{err}
		}
		return runChat(ctx, w, o)
	})
}

// message is one turn of the conversation, as it goes on the wire.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// talker answers a conversation. show is called with each piece of reasoning or
// content, in order.
type talker interface {
	talk(ctx context.Context, messages []message, show func(llm.EventKind, string)) error
	Close() error
}

func runChat(ctx context.Context, w world, o chatOptions) (err error) {
	t, err := newTalker(ctx, w, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	c := conversation{talker: t, w: w, system: o.system, screen: newScreen(w, o.reasoning)}
	c.tty = c.screen.tty && terminal(w.in)
	return c.run(ctx)
}

func newTalker(ctx context.Context, w world, o chatOptions) (talker, error) {
	if o.url != "" {
		return newRemoteTalker(o)
	}
	return newLocalTalker(ctx, w, o)
}

// conversation is the loop of reading a line and showing its answer.
type conversation struct {
	talker talker
	w      world
	system string
	tty    bool   // somebody types: show a prompt
	screen screen // how each answer is shown

	messages []message
}

// run returns the last turn's error, so that a pipe learns of it.
func (c *conversation) run(ctx context.Context) error {
	c.clear()
	lines := bufio.NewReader(c.w.in)
	var failed error
	for {
		if c.tty {
			fmt.Fprint(c.w.out, "> ")
		}
		line, err := lines.ReadString('\n')
		switch text := strings.TrimSpace(line); text {
		case "":
		case "/exit", "/quit", "/bye":
			return nil
		case "/clear":
			c.clear()
		default:
			if failed = c.turn(ctx, text); failed != nil && c.tty {
				fmt.Fprintln(c.w.err, "reasond:", oneLine(failed))
				failed = nil // it has been said
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			if c.tty {
				fmt.Fprintln(c.w.out)
			}
			return failed
		case err != nil:
			return err
		case failed != nil:
			return failed
		}
	}
}

func (c *conversation) clear() {
	c.messages = nil
	if c.system != "" {
		c.messages = []message{{"system", c.system}}
	}
}

// turn asks and shows the answer as it comes. A turn that fails, or that Ctrl-C
// stops before it has content, leaves no trace in the conversation.
func (c *conversation) turn(ctx context.Context, text string) error {
	if c.tty {
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt)
		defer stop()
	}
	asked := append(c.messages, message{"user", text})
	out := c.screen
	err := c.talker.talk(ctx, asked, out.show)
	out.end()
	if c.tty && errors.Is(ctx.Err(), context.Canceled) {
		err = nil
	}
	if err == nil && out.content.Len() > 0 {
		c.messages = append(asked, message{"assistant", strings.TrimSpace(out.content.String())})
	}
	return err
}

// screen writes one answer: reasoning dimmed, a blank line, then the content,
// without the white space that surrounds either.
type screen struct {
	out       io.Writer
	tty       bool // a terminal: control characters are not for a model to send
	dim       bool // reasoning is dimmed by escape sequences
	reasoning bool // reasoning is shown

	kind    llm.EventKind
	shown   bool   // something of kind was written
	before  bool   // reasoning was written
	space   string // white space that waits for what follows it
	content strings.Builder
}

// newScreen is the standard output; reasoning is auto, show or hide.
func newScreen(w world, reasoning string) screen {
	tty := terminal(w.out)
	return screen{
		out: w.out, tty: tty, dim: tty && w.getenv.Value("NO_COLOR") == "",
		reasoning: reasoning == "show" || reasoning == "auto" && tty,
	}
}

const dimOn, dimOff = "\x1b[2m", "\x1b[0m"

func (s *screen) show(kind llm.EventKind, text string) {
	if kind == llm.EventContent {
		s.content.WriteString(text)
	} else if !s.reasoning {
		return
	}
	if s.tty {
		text = strings.Map(printable, text)
	}
	if kind != s.kind {
		s.leave()
		s.kind = kind
	}
	body := strings.TrimRight(text, " \t\r\n")
	if body == "" {
		s.space += text
		return
	}
	if !s.shown {
		s.enter()
		body = strings.TrimLeft(body, " \t\r\n")
	} else {
		body = s.space + body
	}
	s.space = text[len(strings.TrimRight(text, " \t\r\n")):]
	io.WriteString(s.out, body)
}

// printable drops what a terminal would obey instead of showing.
func printable(r rune) rune {
	if unicode.IsControl(r) && r != '\n' && r != '\t' {
		return -1
	}
	return r
}

// enter begins to show the kind at hand.
func (s *screen) enter() {
	s.shown = true
	switch {
	case s.kind == llm.EventReasoning:
		s.before = true
		if s.dim {
			io.WriteString(s.out, dimOn)
		}
	case s.before:
		io.WriteString(s.out, "\n\n")
	}
}

// leave ends the kind at hand.
func (s *screen) leave() {
	if s.shown && s.dim && s.kind == llm.EventReasoning {
		io.WriteString(s.out, dimOff)
	}
	s.shown, s.space = false, ""
}

func (s *screen) end() {
	shown := s.shown || s.before
	s.leave()
	if shown {
		io.WriteString(s.out, "\n")
	}
}
