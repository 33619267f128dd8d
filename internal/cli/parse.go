package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/reasond/reasond/api/reasoning"
	_ "github.com/reasond/reasond/api/reasoning/builtin"
	"github.com/reasond/reasond/internal/config"
	"github.com/reasond/reasond/internal/toolcall"
)

type parseOptions struct {
	parser   string
	calls    string // tool call parser; "": calls stay in the content
	plugins  []string
	format   string // auto, text, jsonl, sse
	open     string // unknown, yes, no
	effort   string
	switches []string // name=bool
	tools    bool
	segments bool
	explain  bool
	rechunk  int
	seed     int
}

func (o *parseOptions) AddFlags(f *config.Flags) {
	f.Var(config.String(&o.parser), "reasoning-parser", "", "how reasoning is told from content, such as qwen3 or deepseek-r1")
	f.Var(config.String(&o.calls), "tool-call-parser", "", "how calls of tools are told from the rest of the content, such as hermes; without it they stay there")
	f.Var(config.List(&o.plugins, "file"), "reasoning-parser-plugin", "", "YAML or JSON file that describes a further reasoning parser; may be repeated")
	f.Var(config.Choice(&o.format, "auto", "text", "jsonl", "sse"), "format", "", "what the input is; auto looks at it")
	f.Var(config.Choice(&o.open, "unknown", "yes", "no"), "open", "", "whether the prompt left a reasoning block open; unknown: the parser's own rule")
	f.Var(config.String(&o.effort), "effort", "", "reasoning_effort of the request", "reasoning-effort")
	f.Var(config.List(&o.switches, "name=bool"), "switch", "", "template switch of the request, such as enable_thinking=false; may be repeated")
	f.Var(config.Bool(&o.tools), "tools", "", "the request offered tools")
	f.Var(config.Bool(&o.segments), "segments", "", "write each segment as a line of JSON: kind, start, end, text")
	f.Var(config.Bool(&o.explain), "explain", "", "write each change of state: its byte offset, what begins there, the marker before it")
	f.Var(config.Int(&o.rechunk, "n", 1, 1_000_000), "rechunk", "", "parse again under n random splits of the text; any difference is a failure")
	f.Var(config.Int(&o.seed, "n", 0, 1<<31-1), "seed", "", "of --rechunk")
}

func newParse(w world) *cobra.Command {
	o := parseOptions{format: "auto", open: "unknown"}
	c := &cobra.Command{
		Use:   "parse --reasoning-parser NAME [FILE...]",
		Short: "Split a model's raw text into reasoning and content",
		Long: `Split what a model wrote, from files or standard input, into reasoning and
content. The input is text, JSON lines of deltas ({"content": "..."},
{"text": "..."} or OpenAI's chunks), or a recorded event stream; it is fed to the
parser as it was cut. Of a recording that holds several choices each is an input
of its own. For each input a line of JSON is written: reasoning_content, content
and, where there are any, tool_calls.

  reasond parse --reasoning-parser deepseek-r1 answer.txt
  reasond parse --reasoning-parser qwen3 --explain --open yes < stream.sse
  reasond parse --reasoning-parser qwen3 --tool-call-parser hermes answer.txt`,
	}
	return command(c, w, o.AddFlags, cobra.ArbitraryArgs, func(_ context.Context, files []string) error {
		start, err := o.start()
		if err == nil && o.segments && o.explain {
			err = errors.New("--segments and --explain are two forms of one output")
		}
		if err != nil {
			return usageError{err}
		}
		if err := registerParsers(o.plugins); err != nil {
			return usageError{err}
		}
		d, err := reasoning.Lookup(o.parser)
		if err != nil {
			return usageError{fmt.Errorf("--reasoning-parser: %w", err)}
		}
		var tools *toolcall.Descriptor
		if o.calls != "" {
			if tools, err = toolcall.Lookup(o.calls); err != nil {
				return usageError{fmt.Errorf("--tool-call-parser: %w", err)}
			}
		}
		return runParse(w, o, d, tools, start, files)
	})
}

// start is what the parser is told of the request.
func (o *parseOptions) start() (reasoning.Start, error) {
	s := reasoning.Start{Effort: o.effort, HasTools: o.tools, Switches: map[string]bool{}}
	if o.parser == "" {
		return s, errors.New("parse needs --reasoning-parser NAME (known: " + strings.Join(reasoning.Names(), ", ") + ")")
	}
	switch o.open {
	case "yes":
		s.Open = reasoning.OpenYes
	case "no":
		s.Open = reasoning.OpenNo
	}
	for _, given := range o.switches {
		name, value, _ := strings.Cut(given, "=")
		on, err := strconv.ParseBool(value)
		if name == "" || err != nil {
			return s, fmt.Errorf("--switch %q: not of the form enable_thinking=false", given)
		}
		s.Switches[name] = on
	}
	return s, nil
}

// largestRecording bounds an input, bytes.
const largestRecording = 1 << 30

func runParse(w world, o parseOptions, d reasoning.Descriptor, tools *toolcall.Descriptor, start reasoning.Start, files []string) error {
	if len(files) == 0 {
		return parseInput(w, o, d, tools, start, "", w.in)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		label := name
		if len(files) == 1 {
			label = ""
		}
		err = parseInput(w, o, d, tools, start, label, f)
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func parseInput(w world, o parseOptions, d reasoning.Descriptor, tools *toolcall.Descriptor, start reasoning.Start, file string, in io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(in, largestRecording+1))
	if err != nil {
		return err
	}
	if len(data) > largestRecording {
		return fmt.Errorf("the input is over %s", bytesText(largestRecording))
	}
	choices, err := readRecording(string(data), o.format)
	if err != nil {
		return err
	}
	for i := range choices {
		c := &choices[i]
		p := parsed{File: file, raw: strings.Join(c.pieces, ""), segments: parsePieces(d, start, c.pieces), tools: tools}
		if len(choices) > 1 {
			p.Choice = &c.index
		}
		if err := p.write(w.out, o); err != nil {
			return err
		}
		if o.rechunk > 0 {
			if err := rechunk(d, start, p.raw, p.segments, o.rechunk, uint64(o.seed)); err != nil {
				return err
			}
		}
	}
	return nil
}

// parsePieces feeds the pieces one by one. Neighbouring segments of one kind
// are joined, so that equal texts give equal segments however they are cut.
func parsePieces(d reasoning.Descriptor, start reasoning.Start, pieces []string) []reasoning.Segment {
	p := d.New(start)
	var joined, buf []reasoning.Segment
	var text []byte // of the last joined segment
	add := func(segments []reasoning.Segment) {
		for _, s := range segments {
			if n := len(joined) - 1; n >= 0 && joined[n].Kind == s.Kind && joined[n].End == s.Start {
				joined[n].End = s.End
			} else {
				if n >= 0 {
					joined[n].Text = string(text)
				}
				joined, text = append(joined, s), text[:0]
			}
			text = append(text, s.Text...)
		}
	}
	for _, piece := range pieces {
		buf = p.Feed(buf[:0], piece)
		add(buf)
	}
	add(p.Close(buf[:0]))
	if n := len(joined) - 1; n >= 0 {
		joined[n].Text = string(text)
	}
	return joined
}

// parsed is one input, split.
type parsed struct {
	File   string `json:"file,omitempty"` // where there are several
	Choice *int   `json:"choice,omitempty"`

	raw      string
	segments []reasoning.Segment
	tools    *toolcall.Descriptor // nil: content has no calls
}

func (p *parsed) write(out io.Writer, o parseOptions) error {
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	switch {
	case o.explain:
		return p.explain(out)
	case o.segments:
		for _, s := range p.segments {
			err := lines.Encode(struct {
				*parsed
				Kind  string `json:"kind"`
				Start int    `json:"start"`
				End   int    `json:"end"`
				Text  string `json:"text"`
			}{p, s.Kind.String(), s.Start, s.End, s.Text})
			if err != nil {
				return err
			}
		}
		return nil
	}
	thought, content := reasoning.Join(p.segments)
	calls := p.calls()
	if p.tools != nil {
		var found []toolcall.Call
		content, found = toolcall.Parse(p.tools, nil, content)
		for _, c := range found {
			calls = append(calls, call(c))
		}
	}
	return lines.Encode(struct {
		*parsed
		Reasoning string `json:"reasoning_content"`
		Content   string `json:"content"`
		ToolCalls []call `json:"tool_calls,omitempty"`
	}{p, thought, content, calls})
}

type call struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"` // as the model wrote them
}

// calls are the tool calls that the reasoning parser takes apart: a name begins
// one, arguments follow it.
func (p *parsed) calls() []call {
	var calls []call
	for _, s := range p.segments {
		switch {
		case s.Kind == reasoning.ToolName:
			calls = append(calls, call{Name: s.Text})
		case s.Kind == reasoning.ToolArguments && len(calls) > 0:
			calls[len(calls)-1].Arguments += s.Text
		}
	}
	return calls
}

// explain writes a table: where each segment begins, what it is, how long, and
// the raw bytes in front of it that belong to no segment.
func (p *parsed) explain(out io.Writer) error {
	if p.File != "" {
		fmt.Fprintf(out, "%s:\n", p.File)
	}
	if p.Choice != nil {
		fmt.Fprintf(out, "choice %d:\n", *p.Choice)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "OFFSET\tSTATE\tBYTES\tMARKER")
	at := 0
	for _, s := range p.segments {
		fmt.Fprintf(table, "%d\t%s\t%d\t%s\n", s.Start, s.Kind, s.End-s.Start, marker(p.raw[at:s.Start]))
		at = s.End
	}
	fmt.Fprintf(table, "%d\tend\t\t%s\n", len(p.raw), marker(p.raw[at:]))
	return table.Flush()
}

// marker shows the bytes between two segments.
func marker(gap string) string {
	if gap == "" {
		return "-"
	}
	return strconv.Quote(gap)
}
