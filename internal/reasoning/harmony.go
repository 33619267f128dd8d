package reasoning

import (
	"slices"
	"strings"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/lark"
)

// Harmony (openai/harmony, docs/format.md): an answer is messages,
//
//	<|start|>assistant<|channel|>analysis<|message|>…<|end|>
//	<|start|>assistant<|channel|>final<|message|>…<|return|>
//	<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{…}<|call|>
//
// and the prompt ends with the first "<|start|>assistant". The recipient may
// also stand before the channel. Models leave out "<|start|>", and end a
// message with any of the three markers.
//
// Where the control tokens were lost on the way, the same answer reads
// "analysis…assistantfinal…". That is taken for what it is only where a capital
// follows the first word at once, as it does in no prose.
func init() {
	ends := []mark{
		{text: "<|end|>", frame: outside}, {text: "<|return|>", frame: outside}, {text: "<|call|>", frame: outside},
	}
	with := func(more ...mark) []mark { return append(more, ends...) }
	between := with(
		mark{text: "<|start|>", does: begin}, mark{text: "<|channel|>", does: begin},
		mark{text: "assistant<|channel|>", does: begin},
		mark{text: "assistant<|message|>", does: end}, mark{text: "<|message|>", does: end},
		mark{text: "assistant to=", does: maybe}, mark{text: "to=", does: maybe},
		mark{text: "<|constrain|>", does: skip},
	)
	bare := frame{kind: inReasoning, marks: []mark{
		{text: "assistantanalysis", does: skip}, {text: "assistantfinal", frame: literal},
	}}
	starts := slices.Clone(between)
	for capital := 'A'; capital <= 'Z'; capital++ {
		starts = append(starts, mark{text: "analysis" + string(capital), frame: bare, peek: 1})
	}
	registerFraming(&framing{
		name: "gpt-oss", aliases: []string{"openai-gptoss", "gptoss", "harmony", "beam"},
		doc:    "Harmony channels: analysis, commentary, final, tool messages (gpt-oss)",
		opens:  []string{"<|channel|>analysis<|message|>"},
		closes: []string{"<|end|>", "<|return|>", "<|call|>"},
		ends:   "<|end|><|start|>assistant<|channel|>final<|message|>",
		first:  frame{kind: inBetween, marks: starts}, between: between,
		header: with(
			mark{text: "<|start|>", does: begin}, mark{text: "<|channel|>", does: extend},
			mark{text: "<|constrain|>", does: extend}, mark{text: "<|message|>", does: end},
		),
		body: with(
			mark{text: "<|start|>", does: begin}, mark{text: "<|channel|>", does: begin},
			mark{text: "<|message|>", does: skip}, mark{text: "<|constrain|>", does: skip},
		),
		head: harmonyHead, turn: harmonyTurn,
	})
}

// harmonyTurn is how openai/harmony renders a turn. It ends with the call; models
// whose vocabulary does not say so may go on.
var harmonyTurn = &turn{
	next:    []string{"<|start|>", "assistant"},
	thought: span{[]string{"<|channel|>", "analysis", "<|message|>"}, []string{"<|end|>"}},
	says: []span{
		{[]string{"<|channel|>", "final", "<|message|>"}, []string{"<|end|>"}},
		{[]string{"<|channel|>", "commentary", "<|message|>"}, []string{"<|end|>"}},
	},
	opens:   "<|channel|>",
	between: []string{"<|call|>", "<|start|>", "assistant"}, end: []string{"<|call|>"},
	call: func(g *lark.Grammar, f reasoning.Function, _ int) (string, error) {
		if !lark.IsWord(f.Name) {
			return "", errNoWord
		}
		args, err := lark.Object(f, lark.Loose)
		return join(g.Marks("<|channel|>", "commentary to=functions."+f.Name+" ", "<|constrain|>", "json", "<|message|>"), args), err
	},
}

// harmonyHead reads a message's header: role, recipient, channel, content type.
func harmonyHead(h header) frame {
	role, channel, hasChannel := strings.Cut(h.text, "<|channel|>")
	if from := nameAfter(h.text, "to="); from >= 0 {
		to := from + wordLen(h.text[from:])
		if recipient := h.text[from:to]; recipient != "assistant" && recipient != "user" && recipient != "all" {
			if rest, ok := strings.CutPrefix(recipient, "functions."); ok {
				from = to - len(rest)
			}
			f := arguments
			f.name = [2]int{from, to}
			return f
		}
	}
	role = strings.TrimSpace(strings.TrimPrefix(role, "<|start|>"))
	if role = role[:wordLen(role)]; role != "" && role != "assistant" && !strings.HasPrefix(role, "to=") {
		return dropped // a message of another role
	}
	channel = strings.TrimSpace(channel)
	if hasChannel && channel[:wordLen(channel)] == "analysis" {
		return thought
	}
	return content
}

// nameAfter is where the word behind a key begins in a header, -1 if the key
// is not there.
func nameAfter(header, key string) int {
	i := strings.Index(header, key)
	if i < 0 {
		return -1
	}
	return i + len(key)
}

// wordLen is the length of a header's word: to white space or a marker.
func wordLen(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] == '<' || s[i] == ' ' || s[i] >= '\t' && s[i] <= '\r' {
			return i
		}
	}
	return len(s)
}
