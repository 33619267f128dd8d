package reasoning

// Hunyuan-A13B wraps thought and answer, with line breaks that belong to the
// tags (model card and chat template):
//
//	<think>\n…\n</think>\n<answer>\n…\n</answer>
func init() {
	rest := frame{kind: inBetween, marks: []mark{}}
	answer := frame{kind: inContent, marks: []mark{{text: "\n</answer>", frame: rest}, {text: "</answer>", frame: rest}}}
	answers := []mark{{text: "<answer>", frame: answer, feed: true}}
	answered := frame{kind: inBetween, marks: answers}
	thought := frame{kind: inReasoning, marks: []mark{{text: "\n</think>", frame: answered}, {text: "</think>", frame: answered}}}
	registerFraming(&framing{
		name:    "hunyuan-a13b",
		doc:     "<think>…</think><answer>…</answer>, each tag on a line of its own (Hunyuan-A13B)",
		opens:   []string{"<think>"},
		closes:  []string{"</think>", "<answer>"},
		ends:    "\n</think>\n<answer>\n",
		between: append([]mark{{text: "<think>", frame: thought, feed: true}}, answers...),
		open:    thought, text: literal,
	})
}
