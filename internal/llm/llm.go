// Package llm is the vocabulary that all parts of reasond speak: requests,
// sampling parameters, what an engine streams back, events, usage and errors.
// It holds no behaviour beyond its own values and imports only the standard
// library.
package llm

import (
	"context"
	"encoding/json"
	"math"
	"time"
)

// Chat is a validated conversation on its way into a chat template. Raw JSON is
// kept because the order of keys (tool schemas, call arguments) reaches the
// prompt.
type Chat struct {
	Messages             json.RawMessage // array of message objects
	Tools                json.RawMessage // array of tool objects; nil: none
	Kwargs               map[string]json.RawMessage
	AddGenerationPrompt  bool
	ContinueFinalMessage bool
}

// Prompt is exactly one of ids, text or chat; Caps says which an engine takes.
type Prompt struct {
	IDs  []int32
	Text string
	Chat *Chat
}

// SamplingParams are one choice's sampling settings, already merged from
// request, server flags and the model's generation_config. Zero values are not
// defaults; start from DefaultSampling, or from UnsetSampling where the engine
// has defaults of its own.
type SamplingParams struct {
	Temperature       float64 // 0: greedy
	TopK              int     // 0 or less: off
	TopP              float64 // 1: off
	MinP              float64 // 0: off
	RepetitionPenalty float64 // 1: off; over prompt and output, as in CTRL (arXiv 1909.05858)
	PresencePenalty   float64 // subtracted once from each token already generated
	FrequencyPenalty  float64 // subtracted per occurrence among the generated tokens
	LogitBias         map[int32]float32
	Seed              uint64 // Philox key; the pipeline draws one when the client gives none
	Seeded            bool   // the client gave the seed; another engine is told no other

	MaxTokens int     // at most this many generated tokens; at least 1
	MinTokens int     // EOS and StopIDs cannot be sampled before this many
	StopIDs   []int32 // user's stop_token_ids; end the choice like EOS
	IgnoreEOS bool    // the model's EOS set does not end the choice

	Logprobs    bool // report each sampled token's log-probability
	TopLogprobs int  // and the n likeliest alternatives
}

// DefaultSampling is what OpenAI's API defines where nobody says otherwise.
func DefaultSampling() SamplingParams {
	return SamplingParams{Temperature: 1, TopP: 1, RepetitionPenalty: 1}
}

// UnsetSampling leaves every choice to an engine that knows the model better
// than we do, a remote one: a NaN and UnsetTopK are parameters that nobody gave.
// The local engine does not take it.
func UnsetSampling() SamplingParams {
	nan := math.NaN()
	return SamplingParams{
		Temperature: nan, TopK: UnsetTopK, TopP: nan, MinP: nan,
		RepetitionPenalty: nan, PresencePenalty: nan, FrequencyPenalty: nan,
	}
}

// UnsetTopK is a top_k that nobody gave.
const UnsetTopK = math.MinInt

// Request is what the pipeline submits to an engine.
type Request struct {
	ID       string
	Prompt   Prompt
	N        int // choices; 1 or more. All share the prompt's KV pages.
	Sampling SamplingParams
	Tenant   string // scope of prefix reuse: a hash of the API key
	Salt     string // cache_salt: narrows the scope further
	Priority int    // lower runs first; 0 by default

	// PromptLogprobs asks for the log-probabilities of the prompt's tokens and of
	// this many of the likeliest in the place of each; nil: not asked for.
	PromptLogprobs *int

	// Guide builds the per-token control of one choice; nil: nothing to control.
	Guide func(choice int) Guide
}

// Guide steers one choice token by token. The engine calls it from one
// goroutine at a time; it must not block.
type Guide interface {
	// Accept is told the tokens that a step appended and says what follows.
	Accept(ids []int32) Directive
	// Mask writes the tokens allowed next, bit i of word i/32 for id i, and
	// reports whether there is any restriction; dst has (vocab+31)/32 words.
	Mask(dst []uint32) bool
}

// Directive is a guide's answer to a step.
type Directive struct {
	Sampling *SamplingParams // replaces the choice's parameters; nil: unchanged
	Force    []int32         // tokens that follow without being sampled
	End      FinishReason    // not empty: the choice ends here
	Err      error           // why, where End is FinishError
}

// FinishReason says why a choice ended.
type FinishReason string

const (
	FinishStop      FinishReason = "stop"       // EOS, a stop id or a stop string
	FinishLength    FinishReason = "length"     // max_tokens or the context is used up
	FinishToolCalls FinishReason = "tool_calls" // set by the pipeline
	FinishAbort     FinishReason = "abort"      // cancelled, or the server stops
	FinishError     FinishReason = "error"      // the engine failed; Finish.Err says how
)

// Finish ends a choice. At most one of StopID and StopText says what matched.
type Finish struct {
	Reason   FinishReason
	StopID   int32  // the EOS or stop id that ended it, -1 if none
	StopText string // the stop string that ended it
	Cached   int    // prompt tokens taken from the prefix cache
	Err      error  // why, when Reason is FinishError or FinishAbort
	Times    Times  // the request's, of an engine that knows them
	// Usage is what an engine that tokenises by itself counted for the whole
	// request, all choices together. It comes with the last choice's Finish, and
	// not at all if the engine did not say or was cut short.
	Usage *Usage
}

// Times are a request's in its engine; a zero time is one that has not come.
type Times struct {
	Accepted time.Time // by Submit
	Begun    time.Time // the first step that computes a token of it was planned
	First    time.Time // its first token was sampled
	Ended    time.Time // the choice's finish was known
}

// Channel says how far an upstream has already split a delta's text.
type Channel uint8

const (
	ChannelRaw Channel = iota // nothing split: IDs or Text are the model's own output
	ChannelReasoning
	ChannelContent
	ChannelTool // Text is one element of OpenAI's delta.tool_calls, as JSON
)

// TokenLogprob is one token with its natural-log probability.
type TokenLogprob struct {
	ID      int32 // -1 where a remote engine names the token by its text only
	Logprob float32
	Text    string // the token's bytes where ID is -1; a remote engine may give both
}

// Logprobs belong to one generated token.
type Logprobs struct {
	TokenLogprob
	Top []TokenLogprob // likeliest first
}

// PromptLogprob is one token of a prompt after those before it.
type PromptLogprob struct {
	Logprobs
	Rank int // of the token among all, the likeliest being 1
}

// Delta is what one step added to one choice. A local engine fills IDs, a
// remote one IDs or Text. The token that ended the choice (EOS, a stop id) is
// in IDs too; Finish is set on the last delta of a choice and on no other.
type Delta struct {
	Choice   int
	IDs      []int32
	Text     string
	Tokens   int        // how many tokens Text is; 0: the engine does not say
	Logprobs []Logprobs // one per id, or per token of Text, when asked for
	Channel  Channel
	// Prompt are the prompt's tokens from the second one on, if they were asked
	// for: not nil once a request, before any choice's first token.
	Prompt []PromptLogprob
	Finish *Finish
}

// Stream is an accepted request's output. Law: every choice ends with exactly
// one Finish, also on cancel, device fault and shutdown.
type Stream interface {
	// Recv blocks until something was generated and returns all of it, in
	// order; the slice is the caller's until the next Recv. After the last
	// choice's Finish it returns io.EOF. It returns early with ctx's error.
	Recv(ctx context.Context) ([]Delta, error)
	// Stop ends one choice because the pipeline matched a stop string. Tokens
	// sampled after it are discarded; the choice's Finish follows by Recv.
	Stop(choice int, match string)
	// Close abandons what is still running. It does not block and may be
	// called more than once.
	Close()
}

// Caps is what an engine can do.
type Caps struct {
	IDs, Text, Chat bool // prompt forms taken
	Guides          bool
	Logprobs        bool
	PromptLogprobs  bool
	OutputIDs       bool // deltas have ids
	MaxContext      int  // prompt and output tokens of one sequence
}

// Stats is a snapshot of an engine for /metrics and /readyz. Counters grow.
type Stats struct {
	Running, Waiting             int
	PagesTotal, PagesFree        int // KV pages; Free includes cached pages that can be evicted
	PagesCached                  int
	PageTokens                   int    // tokens that a page holds; 0: there are no pages
	Steps, Rows                  uint64 // engine steps; token rows computed
	PromptTokens, CachedTokens   uint64 // submitted prompt tokens; those taken from the prefix cache
	PrefillTokens, OutputTokens  uint64 // prompt rows computed; tokens sampled
	Preemptions                  uint64
	PrefixQueries, PrefixHits    uint64 // tokens looked up in the prefix cache; tokens found
	DraftTokens, DraftAccepted   uint64 // tokens guessed before they were sampled; guesses that were right
	LastStep                     int64  // unix nanoseconds when the last step ended
	Stalled                      bool   // a step has run longer than the stall limit, or a lost device stays away that long
	Restarting                   bool   // a lost device is being opened anew; requests wait
	Restarts                     uint64 // devices lost and opened anew
	Unreachable                  bool   // a remote engine's upstream does not answer; requests are tried all the same
	WeightBytes, WeightFileBytes int64  // memory that holds weights; their bytes in the file
}
