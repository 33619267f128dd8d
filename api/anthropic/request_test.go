package anthropic

import (
	"errors"
	"strings"
	"testing"

	"github.com/reasond/reasond/api/openai"
)

// Errors name what is wrong, in few of the client's own words.
func TestErrorsAreShort(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, body := range []string{
		`{"max_tokens":1,"messages":[{"role":"user","content":[{"type":"` + long + `"}]}]}`,
		`{"max_tokens":1,"messages":[{"role":"` + long + `","content":"?"}]}`,
		`{"max_tokens":1,"messages":[{"role":"user","` + long + `":1}]}`,
		`{"max_tokens":1,"messages":[{"role":"user","content":"?"}],"tools":[{"name":"f","` + long + `":1}]}`,
		`{"max_tokens":1,"messages":[{"role":"user","content":"?"}],"tools":[{"name":"f","type":"` + long + `"}]}`,
		`{"max_tokens":1,"messages":[{"role":"user","content":"?"}],"tool_choice":{"type":"` + long + `"}}`,
	} {
		_, err := DecodeMessages([]byte(body))
		var e *openai.Error
		if !errors.As(err, &e) || e.Param == "" || len(e.Param)+len(e.Message) > 400 {
			t.Errorf("%.100s: %.500v", body, err)
		}
	}
}
