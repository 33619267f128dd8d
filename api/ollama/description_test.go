package ollama

import (
	"maps"
	"slices"
	"testing"

	"github.com/reasond/reasond/api/apitest"
)

func TestMembersOfRequestsAreDescribed(t *testing.T) {
	both := []string{"model", "stream", "options", "think", "format", "keep_alive", "truncate", "shift"}
	apitest.Describes(t, "OllamaOptions", true, append(slices.Collect(maps.Keys(options)), "num_predict")...)
	apitest.Describes(t, "OllamaChatRequest", true, append(both, "tools", "messages")...)
	apitest.Describes(t, "OllamaGenerateRequest", true, append(both, "prompt", "system", "raw", "images", "suffix", "template", "context")...)
}
