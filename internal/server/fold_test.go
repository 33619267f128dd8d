package server

import (
	"encoding/json"
	"fmt"
)

// foldStream and withoutIDs bring a stream and a whole answer into one form.
func foldStream(got told, n int) string {
	var out string
	for i := range n {
		out += fmt.Sprintf("%d %q %q %s\n", i, got.reasoning[i], got.content[i], got.finish[i])
	}
	u, _ := json.Marshal(got.usage)
	return out + string(u)
}

func withoutIDs(body string) string {
	var a struct {
		Choices []struct {
			Index   int
			Message struct {
				Content   *string
				Reasoning *string `json:"reasoning_content"`
			}
			Finish string `json:"finish_reason"`
		}
		Usage json.RawMessage
	}
	if json.Unmarshal([]byte(body), &a) != nil {
		return body
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	var out string
	for _, c := range a.Choices {
		out += fmt.Sprintf("%d %q %q %s\n", c.Index, text(c.Message.Reasoning), text(c.Message.Content), c.Finish)
	}
	return out + string(a.Usage)
}
