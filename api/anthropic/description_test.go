package anthropic

import (
	"maps"
	"slices"
	"testing"

	"github.com/reasond/reasond/api/apitest"
)

func TestMembersOfRequestsAreDescribed(t *testing.T) {
	members := slices.Concat(slices.Collect(maps.Keys(same)), slices.Collect(maps.Keys(idle)),
		[]string{"messages", "system", "tools", "tool_choice", "output_config", "output_format"})
	apitest.Describes(t, "MessagesRequest", true, members...)
	apitest.Describes(t, "CountTokensRequest", true, members...)
}
