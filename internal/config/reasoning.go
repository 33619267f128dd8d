package config

// Reasoning is how chats are answered that do not say it themselves. Requests
// have members of the same names.
type Reasoning struct {
	Field    string // reasoning_content, reasoning or both
	Format   string // auto, deepseek, deepseek-legacy, none
	Separate bool
	Stream   bool
	Include  bool
}

// DefaultReasoning is every part of an answer at its place, as it comes.
func DefaultReasoning() Reasoning {
	return Reasoning{Field: "both", Format: "auto", Separate: true, Stream: true, Include: true}
}

// AddFlags adds the flags of reasoning in answers.
func (r *Reasoning) AddFlags(f *Flags) {
	f.Var(Choice(&r.Field, "both", "reasoning_content", "reasoning", "reasoning-content=reasoning_content"), "reasoning-field", "", "member of an answer that has the reasoning; both: the same text under both names", "reasoning-output")
	f.Var(Choice(&r.Format, "auto", "deepseek", "deepseek-legacy", "none", "separate=deepseek"), "reasoning-format", "", "requests' reasoning_format where they give none; none: everything is content, deepseek-legacy: that and the reasoning")
	f.Var(Bool(&r.Separate), "separate-reasoning", "", "requests' separate_reasoning where they give none")
	f.Var(Bool(&r.Stream), "stream-reasoning", "", "requests' stream_reasoning where they give none")
	f.Var(Bool(&r.Include), "include-reasoning", "", "requests' include_reasoning where they give none")
}
