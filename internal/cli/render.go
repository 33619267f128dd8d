package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reasond/reasond/internal/config"
	"github.com/reasond/reasond/internal/prompt"
)

type renderOptions struct {
	template string
}

func (o *renderOptions) AddFlags(f *config.Flags) {
	f.Var(config.String(&o.template), "chat-template", "", "file with the Jinja template", "chat-template-file")
}

func newRender(w world) *cobra.Command {
	var o renderOptions
	c := &cobra.Command{
		Use:   "render --chat-template FILE",
		Short: "Turn a conversation into a prompt",
		Long: `Read a JSON object from standard input and write the prompt that the chat
template makes of it, and nothing else, to standard output. The object's members
are what transformers' apply_chat_template takes: messages, tools,
add_generation_prompt (true if absent), continue_final_message, special tokens
such as bos_token and eos_token, and any further variable of the template.

  echo '{"messages": [{"role": "user", "content": "Hi"}], "eos_token": "</s>"}' |
    reasond render --chat-template chat_template.jinja`,
	}
	return command(c, w, o.AddFlags, cobra.NoArgs, func(context.Context, []string) error {
		if o.template == "" {
			return usageError{errors.New("render needs --chat-template FILE")}
		}
		return runRender(w, o)
	})
}

// largestConversation bounds standard input, bytes.
const largestConversation = 64 << 20

func runRender(w world, o renderOptions) error {
	source, err := os.ReadFile(o.template)
	if err != nil {
		return fmt.Errorf("--chat-template: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(w.in, largestConversation+1))
	if err != nil {
		return err
	}
	if len(raw) > largestConversation {
		return fmt.Errorf("the conversation is over %s", bytesText(largestConversation))
	}
	in, tokens, err := readConversation(raw)
	if err != nil {
		return err
	}
	r, err := prompt.NewRenderer(prompt.Config{Templates: prompt.Templates{Default: string(source)}, Tokens: tokens})
	if err != nil {
		return fmt.Errorf("%s: %w", o.template, err)
	}
	defer r.Close()
	out, err := r.Render(in)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w.out, out.Text)
	return err
}

// readConversation takes apart what stands on standard input. Messages and tools
// stay as they are written: the order of their members reaches the prompt.
func readConversation(raw []byte) (in prompt.Input, tokens map[string]string, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return in, nil, errors.New("standard input is not a JSON object")
	}
	in = prompt.Input{
		AddGenerationPrompt: true, Kwargs: map[string]json.RawMessage{}, Now: time.Now(),
		AsIs: true, // the template decides, as in Python
	}
	tokens = map[string]string{}
	for name, value := range members {
		switch {
		case name == "messages":
			in.Messages = value
		case name == "tools":
			in.Tools = value
		case name == "add_generation_prompt":
			err = json.Unmarshal(value, &in.AddGenerationPrompt)
		case name == "continue_final_message":
			err = json.Unmarshal(value, &in.ContinueFinalMessage)
		case strings.HasSuffix(name, "_token"):
			var token *string
			if err = json.Unmarshal(value, &token); token != nil {
				tokens[name] = *token
			}
		default:
			in.Kwargs[name] = value
		}
		if err != nil {
			return in, nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if _, given := members["add_generation_prompt"]; !given && in.ContinueFinalMessage {
		in.AddGenerationPrompt = false
	}
	return in, tokens, nil
}
