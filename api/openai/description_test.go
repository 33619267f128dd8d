package openai

import (
	"maps"
	"slices"
	"testing"

	"github.com/reasond/reasond/api/apitest"
)

// The members that the decoders know are those that api/openapi.yaml describes.
func TestMembersOfRequestsAreDescribed(t *testing.T) {
	apitest.Describes(t, "ChatRequest", true, slices.Collect(maps.Keys(chatFields))...)
	apitest.Describes(t, "Reasoning", true, append(slices.Collect(maps.Keys(phaseFields)), "effort", "enabled", "exclude", "max_tokens")...)
	apitest.Describes(t, "CompletionRequest", true, append(slices.Collect(maps.Keys(textMembers)), slices.Collect(maps.Keys(textOnlyMembers))...)...)
}
