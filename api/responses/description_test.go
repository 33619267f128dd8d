package responses

import (
	"maps"
	"slices"
	"testing"

	"github.com/reasond/reasond/api/apitest"
)

func TestMembersOfRequestsAreDescribed(t *testing.T) {
	apitest.Describes(t, "ResponsesRequest", true, slices.Concat(slices.Collect(maps.Keys(same)), slices.Collect(maps.Keys(idle)), []string{
		"input", "instructions", "previous_response_id", "user", "safety_identifier", "prompt_cache_key", "store", "background",
		"truncation", "metadata", "include", "reasoning", "text", "tools", "tool_choice",
	})...)
}
