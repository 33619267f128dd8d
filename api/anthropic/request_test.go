package anthropic

import (
	"errors"
	"fmt"
	"runtime"
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

// Reading takes memory in proportion to the body, however many blocks its text is
// cut into, and blocks are counted.
func TestTextInManyBlocksIsReadInProportion(t *testing.T) {
	const blocks = 8000
	many := func(kind, member string, n int) string {
		one := fmt.Sprintf(`{"type":%q,%q:%q}`, kind, member, strings.Repeat("x", 100))
		return "[" + strings.Repeat(one+",", n-1) + one + "]"
	}
	for name, write := range map[string]func(n int) string{
		"text":     func(n int) string { return `[{"role":"user","content":` + many("text", "text", n) + `}]` },
		"thinking": func(n int) string { return `[{"role":"assistant","content":` + many("thinking", "thinking", n) + `}]` },
		"result": func(n int) string {
			return `[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":` + many("text", "text", n) + `}]}]`
		},
		"system": func(n int) string { return `[{"role":"user","content":"?"}],"system":` + many("text", "text", n) },
	} {
		body := []byte(`{"max_tokens":1,"messages":` + write(blocks) + `}`)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		wire, err := DecodeMessages(body)
		runtime.ReadMemStats(&after)
		if err != nil || strings.Count(string(wire.Messages), "x") != 100*blocks {
			t.Fatalf("%s: %v", name, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 40*uint64(len(body)) {
			t.Errorf("%s: %d kB for %d kB", name, used>>10, len(body)>>10)
		}
		_, err = DecodeMessages([]byte(`{"max_tokens":1,"messages":` + write(openai.MaxParts+1) + `}`))
		var e *openai.Error
		if !errors.As(err, &e) || e.Code != openai.CodeInvalidValue {
			t.Errorf("%s: %d blocks: %v", name, openai.MaxParts+1, err)
		}
	}
}

// A call without an input has none.
func TestACallMayHaveNoInput(t *testing.T) {
	wire, err := DecodeMessages([]byte(`{"max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f"}]}]}`))
	if err != nil || !strings.Contains(string(wire.Messages), `"arguments":{}`) {
		t.Errorf("%s, %v", wire.Messages, err)
	}
}

// A member of a format that nobody knows is refused, and one whose name is spelt
// otherwise is another.
func TestFormatsAreReadStrictly(t *testing.T) {
	for format, param := range map[string]string{
		`{"type":"json_schema","schema":{"type":"object"}}`:              "",
		`{"type":"json_schema","schema":{"type":"object"},"nonsense":1}`: "output_format.nonsense",
		`{"type":"json_schema","Schema":{"type":"object"}}`:              "output_format.Schema",
		`{"type":"json_schema"}`:                                         "output_format",
		`7`:                                                              "output_format",
	} {
		_, err := DecodeMessages([]byte(`{"max_tokens":1,"messages":[{"role":"user","content":"?"}],"output_format":` + format + `}`))
		var e *openai.Error
		if errors.As(err, &e) != (param != "") || e != nil && e.Param != param {
			t.Errorf("%s: %v", format, err)
		}
	}
}
