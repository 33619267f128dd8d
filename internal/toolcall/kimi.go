package toolcall

import (
	"fmt"
	"strings"

	"github.com/reasond/reasond/internal/lark"
)

func init() {
	f := &format{
		opens: []string{"<|tool_call_begin|>"},
		skips: []string{"<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"},
		body: func(Tools, string) body {
			return &header{seps: []string{"<|tool_call_argument_begin|>"}, closes: []string{"<|tool_call_end|>"}, name: kimiName}
		},
	}
	register(Descriptor{
		Name: "kimi-k2", Aliases: []string{"kimi", "kimi-k2-thinking"},
		Doc:   "<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{…}<|tool_call_end|> (Kimi-K2's tool call guidance)",
		Opens: append(f.opens, f.skips[0]), New: f.new,
		grammar: kimiGrammar,
	})
}

// mostNumbered is how many calls an answer may have where they are numbered.
const mostNumbered = 16

// kimiGrammar numbers a turn's calls from 0.
func kimiGrammar(functions []Function, w writing) (string, error) {
	g := lark.New(w.Writing)
	count, calls := mostNumbered, ""
	if w.One {
		count = 1
	}
	for n := count - 1; n >= 0; n-- {
		var all []string
		for _, f := range functions {
			args, err := lark.Object(f, lark.Spaced)
			if err == nil {
				err = bareName(f.Name)
			}
			if err != nil {
				return "", fmt.Errorf("function %.60q: %w", f.Name, err)
			}
			all = append(all, g.Marks("<|tool_call_begin|>", fmt.Sprintf("functions.%s:%d", f.Name, n), "<|tool_call_argument_begin|>")+
				" "+g.Rule(args)+" "+g.Marks("<|tool_call_end|>"))
		}
		call := g.Rule(lark.Any(all))
		if calls != "" {
			call += " " + calls + "?"
		}
		calls = g.Rule(call)
	}
	return g.Source(w.text("<|tool_calls_section_begin|>") + " " + calls + " " + g.Marks("<|tool_calls_section_end|>")), nil
}

// kimiName is the function in functions.NAME:INDEX.
func kimiName(id string) string {
	if i := strings.LastIndexByte(id, ':'); i > 0 && strings.Trim(id[i+1:], "0123456789") == "" {
		id = id[:i]
	}
	return strings.TrimPrefix(id, "functions.")
}
