package reasoning

// Granite 3.2 marks its thought in prose (its chat template asks for it):
// "Here is my thought process:" at the start and "Here is my response:" behind
// the thought, either also as "Here's". An answer that does not start with the
// one has no thought.
func init() {
	closes := []mark{
		{text: "Here is my response:", frame: literal}, {text: "Here's my response:", frame: literal},
	}
	thought := frame{kind: inReasoning, marks: closes}
	registerFraming(&framing{
		name:   "granite",
		doc:    `"Here is my thought process:" … "Here is my response:" (Granite 3.2)`,
		opens:  []string{"Here is my thought process:", "Here's my thought process:"},
		closes: []string{"Here is my response:", "Here's my response:"},
		ends:   "Here is my response:",
		between: []mark{
			{text: "Here is my thought process:", frame: thought}, {text: "Here's my thought process:", frame: thought},
		},
		open: thought, text: literal,
	})
}

// literal is content in which nothing is a marker.
var literal = frame{kind: inContent, marks: []mark{}}
