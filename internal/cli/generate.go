package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/internal/config"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/pipeline"
)

type generateOptions struct {
	model       config.Model
	chat        bool
	system      string
	json        bool
	effort      string
	reasoning   string // auto, show, hide
	maxTokens   int    // 0: what the context leaves
	temperature float64
	topP        float64
	topK        int
	seed        int // negative: drawn
	stop        []string
}

func (o *generateOptions) AddFlags(f *config.Flags) {
	f.Var(config.Bool(&o.chat), "chat", "", "the prompt is a user's message, put into the model's chat template")
	f.Var(config.String(&o.system), "system", "", "system message of --chat")
	f.Var(config.Choice(&o.effort, openai.Efforts...), "effort", "", "of --chat: how hard to think, where the model has a switch", "reasoning-effort")
	f.Var(config.Bool(&o.json), "json", "", "write one JSON object, with the finish and the usage")
	f.Var(config.Choice(&o.reasoning, "auto", "show", "hide"), "reasoning", "", "of --chat; auto: shown dimmed on a terminal, left out elsewhere")
	f.Var(config.Int(&o.maxTokens, "tokens", 1, 1<<30), "max-tokens", "n", "longest answer (default: what the context leaves)", "max-new-tokens", "n-predict")
	f.Var(config.Float(&o.temperature, 0, 2), "temperature", "", "randomness; 0: always the likeliest token (default: the model's)", "temp")
	f.Var(config.Float(&o.topP, 0.000001, 1), "top-p", "", "likeliest tokens that have this probability together (default: the model's)")
	f.Var(config.Int(&o.topK, "n", 1, math.MaxInt32), "top-k", "", "this many likeliest tokens (default: the model's)")
	f.Var(config.Int(&o.seed, "n", 0, math.MaxInt32), "seed", "s", "makes a random answer repeatable")
	f.Var(config.List(&o.stop, "text"), "stop", "", "text that ends the answer; inert in reasoning; may be repeated")
	o.model.AddFlags(f)
}

func newGenerate(w world) *cobra.Command {
	o := generateOptions{model: config.DefaultModel(), reasoning: "auto", temperature: -1, topP: -1, seed: -1}
	c := &cobra.Command{
		Use:   "generate [PROMPT]",
		Short: "Let a model go on from a prompt, without a server",
		Long: `Let a model go on from a prompt, which is given as arguments or on standard input
(without its last line break), and write what it says. The prompt goes to the
model as it is, and the text comes back as it is, think tags included; with
--chat it is a question to be answered, and reasoning and content come apart.

  reasond generate "Once upon a time" --max-tokens 50
  reasond generate --chat --json "9.11 and 9.8, which is greater?"`,
	}
	return command(c, w, o.AddFlags, cobra.ArbitraryArgs, func(ctx context.Context, args []string) error {
		if (o.system != "" || o.effort != "") && !o.chat {
			return usageError{errors.New("--system and --effort belong to --chat")}
		}
		prompt := strings.Join(args, " ")
		if len(args) == 0 {
			text, err := io.ReadAll(io.LimitReader(w.in, largestConversation))
			if err != nil {
				return err
			}
			prompt = strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
		}
		if prompt == "" {
			return usageError{errors.New("the prompt is empty")}
		}
		return runGenerate(ctx, w, o, prompt)
	})
}

func runGenerate(ctx context.Context, w world, o generateOptions, prompt string) (err error) {
	model, err := openModel(ctx, w, newLogger(w.err, "warn", "auto"), &o.model, serving{maxQueue: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	req, err := o.request(model.Model, prompt)
	if err != nil {
		return err
	}
	run, err := model.Start(ctx, req)
	if err != nil {
		return err
	}
	defer run.Close()
	if o.json {
		return o.writeJSON(ctx, w.out, run)
	}
	return o.write(ctx, w, run)
}

func (o *generateOptions) request(m *pipeline.Model, prompt string) (*pipeline.Request, error) {
	req := &pipeline.Request{N: 1, Sampling: m.Defaults, Stop: o.stop, SeparateReasoning: o.chat, StreamReasoning: true}
	req.Sampling.MaxTokens = o.maxTokens
	if o.temperature >= 0 {
		req.Sampling.Temperature = o.temperature
	}
	if o.topP > 0 {
		req.Sampling.TopP = o.topP
	}
	if o.topK > 0 {
		req.Sampling.TopK = o.topK
	}
	if o.seed >= 0 {
		seed := uint64(o.seed)
		req.Seed = &seed
	}
	if !o.chat {
		req.Prompt = &llm.Prompt{Text: prompt}
		return req, nil
	}
	messages := []message{{"user", prompt}}
	if o.system != "" {
		messages = []message{{"system", o.system}, messages[0]}
	}
	raw, err := json.Marshal(messages)
	req.Chat, req.Effort = llm.Chat{Messages: raw, AddGenerationPrompt: true}, o.effort
	return req, err
}

// write shows the text as it comes.
func (o *generateOptions) write(ctx context.Context, w world, run *pipeline.Run) error {
	if o.chat {
		out := newScreen(w, o.reasoning)
		defer out.end()
		return run.Each(ctx, func(e llm.Event) error {
			if e.Kind != llm.EventFinish {
				out.show(e.Kind, e.Text)
			}
			return nil
		})
	}
	last, tty := "\n", terminal(w.out)
	err := run.Each(ctx, func(e llm.Event) error {
		if e.Kind == llm.EventFinish {
			return nil
		}
		if last = e.Text; tty {
			last = strings.Map(printable, last)
		}
		_, err := io.WriteString(w.out, last)
		return err
	})
	if !strings.HasSuffix(last, "\n") {
		fmt.Fprintln(w.out)
	}
	return err
}

// generated is what --json writes.
type generated struct {
	Text      *string      `json:"text,omitempty"` // without --chat
	Reasoning *string      `json:"reasoning_content,omitempty"`
	Content   *string      `json:"content,omitempty"`
	Finish    string       `json:"finish_reason"`
	Usage     openai.Usage `json:"usage"`
}

func (o *generateOptions) writeJSON(ctx context.Context, out io.Writer, run *pipeline.Run) error {
	var thought, content strings.Builder
	var g generated
	err := run.Each(ctx, func(e llm.Event) error {
		switch e.Kind {
		case llm.EventReasoning:
			thought.WriteString(e.Text)
		case llm.EventContent:
			content.WriteString(e.Text)
		case llm.EventFinish:
			g.Finish = string(e.Finish.Reason)
			g.Usage = openai.Usage{
				PromptTokens: e.Usage.Prompt, CompletionTokens: e.Usage.Completion, TotalTokens: e.Usage.Prompt + e.Usage.Completion,
				PromptTokensDetails:     openai.PromptDetails{CachedTokens: e.Usage.Cached},
				CompletionTokensDetails: openai.CompletionDetails{ReasoningTokens: e.Usage.Reasoning},
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	r, c := thought.String(), content.String()
	if o.chat {
		g.Reasoning, g.Content = &r, &c
	} else {
		g.Text = &c
	}
	line := json.NewEncoder(out)
	line.SetEscapeHTML(false)
	return line.Encode(g)
}
