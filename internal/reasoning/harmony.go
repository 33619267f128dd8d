package reasoning

import "strings"

// Harmony (openai/harmony, docs/format.md): an answer is messages,
//
//	<|start|>assistant<|channel|>analysis<|message|>…<|end|>
//	<|start|>assistant<|channel|>final<|message|>…<|return|>
//	<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{…}<|call|>
//
// and the prompt ends with the first "<|start|>assistant". The recipient may
// also stand before the channel. Models leave out "<|start|>", and end a
// message with any of the three markers.
func init() {
	harmony := func(name, doc string, aliases ...string) *framing {
		return &framing{
			name: name, aliases: aliases, doc: doc,
			opens:  []string{"<|channel|>analysis<|message|>"},
			closes: []string{"<|end|>", "<|return|>", "<|call|>"},
			between: []mark{
				{text: "<|start|>", does: begin}, {text: "<|channel|>", does: begin},
				{text: "assistant<|channel|>", does: begin},
				{text: "assistant<|message|>", does: end}, {text: "<|message|>", does: end},
				{text: "assistant to=", does: maybe}, {text: "to=", does: maybe},
				{text: "<|constrain|>", does: skip},
				{text: "<|end|>", frame: outside}, {text: "<|return|>", frame: outside}, {text: "<|call|>", frame: outside},
			},
			header: []mark{
				{text: "<|start|>", does: begin}, {text: "<|channel|>", does: extend}, {text: "<|constrain|>", does: extend},
				{text: "<|message|>", does: end},
				{text: "<|end|>", frame: outside}, {text: "<|return|>", frame: outside}, {text: "<|call|>", frame: outside},
			},
			body: []mark{
				{text: "<|start|>", does: begin}, {text: "<|channel|>", does: begin},
				{text: "<|message|>", does: skip}, {text: "<|constrain|>", does: skip},
				{text: "<|end|>", frame: outside}, {text: "<|return|>", frame: outside}, {text: "<|call|>", frame: outside},
			},
			head: harmonyHead,
		}
	}
	registerFraming(harmony("gpt-oss", "Harmony channels: analysis, commentary, final, tool messages (gpt-oss)",
		"openai-gptoss", "gptoss", "harmony", "beam"))
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
