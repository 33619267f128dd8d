// Package pipeline is one request's life: render the chat, encode the prompt,
// submit it, decode tokens to text, parse text to segments, match stop strings,
// and hand out events. It knows no HTTP and no device. pipeline.go reads top
// to bottom; model.go is what a loaded model consists of.
package pipeline

import (
	"encoding/json"
	"time"

	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/llm"
	"github.com/reasond/reasond/internal/prompt"
	"github.com/reasond/reasond/internal/tokenizer"
	"github.com/reasond/reasond/internal/toolcall"
)

// Model is everything needed to answer for one served model. It is immutable
// once built and safe for concurrent use.
type Model struct {
	Name    string   // the served name that answers carry
	Aliases []string // further names that requests may use
	Created time.Time

	Engine    Engine
	Renderer  *prompt.Renderer
	Tokenizer *tokenizer.Tokenizer
	Parser    *reasoning.Descriptor // nil: everything is content
	Tools     *toolcall.Descriptor  // how content writes tool calls; nil: it has none, or Parser finds them

	Kwargs map[string]json.RawMessage // template options of requests that set none

	Grammars Grammars // nil: no grammar can be had
	Budgets  Budgets

	Defaults   llm.SamplingParams // server flags over generation_config.json over OpenAI's
	MaxContext int                // prompt and output tokens of one choice
	EOS        []int32            // generation_config, config and tokenizer together

	guideSets guideSets
}

// Request is a validated request. Sampling starts from Model.Defaults.
type Request struct {
	ID   string
	Chat llm.Chat
	// Prompt takes the chat's place where it is not nil: ids as they are, or a
	// text as it is, in which control tokens are control tokens.
	Prompt *llm.Prompt
	// BareText encodes a text prompt without what the model wants around a text.
	BareText bool
	// Think, Effort and Adaptive say whether and how hard to think, however the
	// request spelt it; Chat.Kwargs win. nil and "": not said.
	Think    *bool
	Effort   string
	Adaptive bool
	// ToolChoice is what tool_choice asks for beyond "auto"; with "none" the chat
	// has no tools.
	ToolChoice ToolChoice
	OneCall    bool // parallel_tool_calls=false
	// Grammar is what the answer must be, ThoughtGrammar what the thought; nil: free.
	Grammar, ThoughtGrammar *Grammar
	compiled                *compiled // these, by Compile
	Control                 Control
	N                       int
	Sampling                llm.SamplingParams // MaxTokens 0: what the context leaves
	// ReasoningLogprobs asks for the log-probabilities of the reasoning's tokens too.
	ReasoningLogprobs bool
	// PromptLogprobs asks for the log-probabilities of the prompt's tokens and this
	// many alternatives to each; nil: not asked for.
	PromptLogprobs *int
	TokenIDs       bool // events carry the prompt's and the output's ids
	Echo           bool // the prompt's text comes before each choice's
	// UsualTokens bounds the output where MaxTokens is 0; 0: it does not.
	UsualTokens int
	Stop        []string // stop strings; inert in reasoning
	// IncludeStop keeps a matched stop string in the content.
	IncludeStop       bool
	SeparateReasoning bool
	NoParser          bool    // all is content: no thought is looked for, and stop strings match anywhere
	RawContent        bool    // content is all that the model wrote, markers included, as without SeparateReasoning
	DropReasoning     bool    // the thought is found and counted, but not handed out
	StreamReasoning   bool    // false: one reasoning event, when the block ends
	KeepSpecial       bool    // skip_special_tokens=false: control tokens stay in content
	Seed              *uint64 // nil: drawn
	Tenant, Salt      string
	Priority          int
}
