package native

import (
	"maps"
	"slices"
	"testing"

	"github.com/reasond/reasond/api/apitest"
)

func TestMembersOfRequestsAreDescribed(t *testing.T) {
	chat := slices.Collect(maps.Keys(chatMembers))
	apitest.Describes(t, "GenerateRequest", true, slices.Concat(chat, slices.Collect(maps.Keys(top)), []string{"text", "input_ids", paramsName, "logprob_start_len", "return_text_in_logprobs"})...)
	apitest.Describes(t, "TokenizeRequest", true, append(chat, "model", "prompt", "add_special_tokens", "return_token_strs")...)
	apitest.Describes(t, "DetokenizeRequest", true, "model", "tokens", "skip_special_tokens")
	apitest.Describes(t, "SeparateRequest", true, "model", "text", "reasoning_parser", "in_reasoning")
	apitest.Describes(t, "FunctionCallRequest", true, "model", "text", "tools", "tool_call_parser")
}
