package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// fetch posts a body and returns the answer's.
func (p *process) fetch(path, body string) string {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.base+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %s %v\n%s", path, res.Status, err, text)
	}
	return string(text)
}

// said is an answer, taken apart.
type said struct {
	Reasoning string `json:"reasoning_content"`
	Content   string `json:"content"`
}

func read[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %.300s", err, text)
	}
	return v
}

// One question, asked in every way that there is, has one answer.
func TestEveryWayToAskGivesTheSameAnswer(t *testing.T) {
	const question = "9.11 and 9.8, which is greater?"
	const messages = `"messages":[{"role":"user","content":"` + question + `"}]`
	const chat = `{"temperature":0,` + messages
	p := start(t, "--dtype", "float32")
	want := read[struct{ Choices []struct{ Message said } }](t, p.fetch("/v1/chat/completions", chat+"}")).Choices[0].Message
	if want.Reasoning == "" || want.Content == "" {
		t.Fatalf("%+v", want)
	}
	raw := "<think>" + want.Reasoning + "</think>" + want.Content
	check := func(way string, got said) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %+v, want %+v", way, got, want)
		}
	}
	parse := func(recording string, flags ...string) said {
		t.Helper()
		stdout, stderr, code := reasond(t, recording, append([]string{"parse", "--reasoning-parser", "qwen3", "--rechunk", "100"}, flags...)...)
		if code != 0 {
			t.Fatalf("parse: exit %d, %s", code, stderr)
		}
		return read[said](t, stdout)
	}

	check("a recorded stream, parsed", parse(p.fetch("/v1/chat/completions", chat+`,"stream":true,"separate_reasoning":false}`)))
	generate := `"sampling_params":{"temperature":0},` + messages
	check("a recorded stream of /generate, parsed", parse(p.fetch("/generate", `{"stream":true,`+generate+"}")))
	text := read[struct{ Text string }](t, p.fetch("/generate", "{"+generate+"}")).Text
	if text != raw {
		t.Errorf("/generate: %q, want %q", text, raw)
	}
	split := read[map[string]string](t, p.fetch("/separate_reasoning", fmt.Sprintf(`{"text":%q,"reasoning_parser":"qwen3"}`, text)))
	check("/separate_reasoning", said{split["reasoning_text"], split["text"]})

	prompt := read[map[string]string](t, p.fetch("/apply-template", "{"+messages+"}"))["prompt"]
	ids := read[struct{ Tokens json.RawMessage }](t, p.fetch("/tokenize", "{"+messages+"}")).Tokens
	if back := read[map[string]string](t, p.fetch("/detokenize", `{"tokens":`+string(ids)+"}"))["prompt"]; back != prompt {
		t.Errorf("the prompt's tokens are %q, the prompt is %q", back, prompt)
	}
	for name, given := range map[string]string{"text": quoted(prompt), "input_ids": string(ids)} {
		got := read[struct{ Text string }](t, p.fetch("/generate", `{"sampling_params":{"temperature":0},"`+name+`":`+given+"}")).Text
		if got != raw {
			t.Errorf("/generate from %s: %q, want %q", name, got, raw)
		}
	}

	stdout, stderr, _ := reasond(t, question, "generate", "--chat", "--json", "--temperature", "0", "--dtype", "float32")
	if stderr != "" {
		t.Error(stderr)
	}
	check("generate --chat", read[said](t, stdout))
	stdout, _, _ = reasond(t, prompt+"\n", "generate", "--json", "--temperature", "0", "--dtype", "float32")
	check("generate, parsed", parse(read[struct{ Text string }](t, stdout).Text, "--format", "text"))

	line := `{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":` + chat + "}}\n"
	stdout, stderr, code := reasond(t, line, "batch", "-i", "-", "-o", "-", "--dtype", "float32")
	if code != 0 {
		t.Fatalf("batch: exit %d, %s", code, stderr)
	}
	check("batch", read[struct {
		Response struct {
			Body struct{ Choices []struct{ Message said } }
		}
	}](t, stdout).Response.Body.Choices[0].Message)
}

func quoted(s string) string {
	b, _ := json.Marshal(s) // a string
	return string(b)
}
