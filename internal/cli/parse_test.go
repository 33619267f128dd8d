package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reasond/reasond/api/reasoning"
)

const spoken = "<think>\nIs é \"fine\" <b>?\n</think>\n\nYes, 日本 & 42."

// forms writes a text, cut into pieces of n characters, in every form that parse reads.
func forms(text string, n int) map[string]string {
	var pieces []string
	for r := []rune(text); len(r) > 0; {
		k := min(n, len(r))
		pieces, r = append(pieces, string(r[:k])), r[k:]
	}
	quote := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	var content, texts, chunks, sse, completions, soFar strings.Builder
	sse.WriteString(": keep-alive\n\nevent: message\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\r\n\r\n")
	all := ""
	for _, p := range pieces {
		all += p
		fmt.Fprintf(&content, "{\"content\":%s}\n", quote(p))
		fmt.Fprintf(&texts, "{\"text\":%s}\n\n", quote(p))
		fmt.Fprintf(&chunks, "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%s}}]}\n", quote(p))
		fmt.Fprintf(&sse, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%s}}]}\n\n", quote(p))
		fmt.Fprintf(&completions, "data: {\"choices\":[{\"index\":0,\"text\":%s}]}\n\n", quote(p))
		fmt.Fprintf(&soFar, "data: {\"text\":%s,\"meta_info\":{\"id\":\"x\"}}\n\n", quote(all))
	}
	sse.WriteString("data: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n")
	return map[string]string{
		"text": text, "content": content.String(), "texts": texts.String(), "chunks": chunks.String(),
		"sse": sse.String(), "completions": completions.String(), "so far": soFar.String() + "data: [DONE]\n",
		"answer": `{"choices":[{"index":0,"message":{"role":"assistant","content":` + quote(text) + `}}]}`,
	}
}

// What the input's form and cut are changes nothing.
func TestParseReadsEveryForm(t *testing.T) {
	const want = `{"reasoning_content":"\nIs é \"fine\" <b>?\n","content":"\n\nYes, 日本 & 42."}` + "\n"
	for _, n := range []int{1, 3, 1000} {
		for form, input := range forms(spoken, n) {
			code, out, stderr := invoke(t, input, "parse", "--reasoning-parser", "deepseek_r1", "--rechunk", "20")
			if code != exitOK || out != want || stderr != "" {
				t.Errorf("%s by %d: exit %d, %q, %q", form, n, code, out, stderr)
			}
		}
	}
}

func TestParseShowsWhereStatesChange(t *testing.T) {
	const twice = "" +
		"OFFSET  STATE      BYTES  MARKER\n" +
		"7       reasoning  1      \"<think>\"\n" +
		"15      reasoning  1      \"<think>\"\n" +
		"24      end               \"</think>\"\n"
	if code, out, _ := invoke(t, "<think>\n<think>a</think>", "parse", "--reasoning-parser", "deepseek-r1", "--explain"); code != exitOK || out != twice {
		t.Errorf("a thought with a gap: exit %d\n%s", code, out)
	}
	for _, c := range []struct{ flag, want string }{
		{"--explain", "" +
			"OFFSET  STATE      BYTES  MARKER\n" +
			"7       reasoning  3      \"<think>\"\n" +
			"18      content    4      \"</think>\"\n" +
			"22      end               -\n"},
		{"--segments", `{"kind":"reasoning","start":7,"end":10,"text":"é\n"}` + "\n" + `{"kind":"content","start":18,"end":22,"text":"\n\n42"}` + "\n"},
	} {
		if code, out, _ := invoke(t, "<think>é\n</think>\n\n42", "parse", "--reasoning-parser", "qwen3", c.flag); code != exitOK || out != c.want {
			t.Errorf("%s: exit %d\n%s", c.flag, code, out)
		}
	}
}

func TestParseIsToldHowTheAnswerBegins(t *testing.T) {
	const text = "a</think>b"
	for _, c := range []struct {
		parser, want string
		flags        []string
	}{
		{"deepseek-r1", "a|b", nil}, {"deepseek-r1", "|a</think>b", []string{"--open", "no"}},
		{"deepseek-v3", "|a</think>b", nil}, {"deepseek-v3", "a|b", []string{"--open=yes"}},
		{"deepseek-v3", "a|b", []string{"--switch", "thinking=true"}}, {"qwen3", "|a</think>b", []string{"--switch", "enable_thinking=false"}},
		{"qwen3", "|a</think>b", []string{"--effort", "none"}},
	} {
		code, out, stderr := invoke(t, text, append([]string{"parse", "--reasoning-parser", c.parser}, c.flags...)...)
		var got struct {
			Reasoning string `json:"reasoning_content"`
			Content   string
		}
		if err := json.Unmarshal([]byte(out), &got); code != exitOK || err != nil || got.Reasoning+"|"+got.Content != c.want {
			t.Errorf("%s %v: exit %d %q %s", c.parser, c.flags, code, out, stderr)
		}
	}
	const call = "why\n<tool_call>{}"
	for flag, want := range map[string]string{"--tools": `{"reasoning_content":"why\n","content":"<tool_call>{}"}`, "--tools=false": `{"reasoning_content":"why\n<tool_call>{}","content":""}`} {
		if _, out, _ := invoke(t, call, "parse", "--reasoning-parser", "qwen3", "--open", "yes", flag); strings.TrimSpace(out) != want {
			t.Errorf("%s: %s", flag, out)
		}
	}
}

// Where the parser takes tool calls apart, they are there; elsewhere the markup
// is content.
func TestParseShowsCallsThatItsParserKnows(t *testing.T) {
	const text = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\":1}<|call|>"
	const want = `{"reasoning_content":"Hm.","content":"","tool_calls":[{"name":"f","arguments":"{\"a\":1}"}]}` + "\n"
	if code, out, stderr := invoke(t, text, "parse", "--reasoning-parser", "gpt-oss", "--tools", "--rechunk", "30"); code != exitOK || out != want {
		t.Errorf("exit %d, %s%s", code, out, stderr)
	}
}

// A tool call parser reads what the reasoning parser leaves as content.
func TestParseShowsCallsOfANamedFormat(t *testing.T) {
	const text = "<think>Hm.</think>So.<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>"
	const want = `{"reasoning_content":"Hm.","content":"So.","tool_calls":[{"name":"f","arguments":"{\"a\": 1}"}]}` + "\n"
	if code, out, stderr := invoke(t, text, "parse", "--reasoning-parser", "qwen3", "--tool-call-parser", "hermes", "--rechunk", "30"); code != exitOK || out != want {
		t.Errorf("exit %d, %s%s", code, out, stderr)
	}
	if code, _, stderr := invoke(t, text, "parse", "--reasoning-parser", "qwen3", "--tool-call-parser", "none such"); code != exitUsage || !strings.Contains(stderr, "hermes") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

func TestParseKeepsChoicesAndFilesApart(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	for name, text := range map[string]string{
		one: "a</think>b",
		two: `{"choices":[{"index":1,"delta":{"content":"c</thi"}}]}` + "\n" + `{"choices":[{"index":0,"delta":{"content":"d"}}]}` + "\n" + `{"choices":[{"index":1,"delta":{"content":"nk>e"}}]}`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, out, stderr := invoke(t, "", "parse", "--reasoning-parser", "deepseek-r1", one, two)
	want := fmt.Sprintf(`{"file":%q,"reasoning_content":"a","content":"b"}
{"file":%q,"choice":0,"reasoning_content":"d","content":""}
{"file":%[2]q,"choice":1,"reasoning_content":"c","content":"e"}
`, one, two)
	if code != exitOK || out != want || stderr != "" {
		t.Errorf("exit %d\n got %s\nwant %s%s", code, out, want, stderr)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		input string
		args  []string
		code  int
		want  string
	}{
		{"", nil, exitUsage, "parse needs --reasoning-parser NAME (known: "},
		{"", []string{"--reasoning-parser", "none-such"}, exitUsage, `--reasoning-parser: unknown reasoning parser "none-such" (known: `},
		{"", []string{"--reasoning-parser", "qwen3", "--switch", "x"}, exitUsage, `--switch "x": not of the form`},
		{"", []string{"--reasoning-parser", "qwen3", "--segments", "--explain"}, exitUsage, "--segments and --explain"},
		{"", []string{"--reasoning-parser", "qwen3", "--open", "maybe"}, exitUsage, "must be one of unknown, yes, no"},
		{"", []string{"--reasoning-parser", "qwen3", "/none/such"}, exitError, "no such file"},
		{"\xff", []string{"--reasoning-parser", "qwen3"}, exitError, "not valid UTF-8"},
		{"{\"content\":\"a\"}\n{\"content\":", []string{"--reasoning-parser", "qwen3"}, exitError, "line 2: not an event"},
		{"a", []string{"--reasoning-parser", "qwen3", "--format", "jsonl"}, exitError, "line 1: not an event"},
		{"{\"content\":\"a\"}\n{\"other\":1}", []string{"--reasoning-parser", "qwen3"}, exitError, "line 2: an object without content, text or choices"},
		{`data: {"choices":[{"delta":{"reasoning_content":"a"}}]}`, []string{"--reasoning-parser", "qwen3"}, exitError, "record with separate_reasoning=false"},
		{`data: {"error":{"message":"lost"}}`, []string{"--reasoning-parser", "qwen3"}, exitError, "the recording holds an error"},
		{"data: {\"text\":\"ab\",\"meta_info\":{}}\ndata: {\"text\":\"b\",\"meta_info\":{}}", []string{"--reasoning-parser", "qwen3"}, exitError, "line 2: the text does not go on"},
	} {
		code, out, stderr := invoke(t, c.input, append([]string{"parse"}, c.args...)...)
		if code != c.code || out != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q %v: exit %d, out %q, err %q", c.input, c.args, code, out, stderr)
		}
	}
	if code, out, _ := invoke(t, "{\"content\": \"a\"}\nand more", "parse", "--reasoning-parser", "qwen3", "--format", "text"); code != exitOK || !strings.Contains(out, "and more") {
		t.Errorf("forced to be text: %d %s", code, out)
	}
}

// hasty is a parser with the mistake that --rechunk is there for: it misses a
// marker that two Feeds share.
type hasty struct {
	at       int
	answered bool
}

func (p *hasty) Feed(dst []reasoning.Segment, text string) []reasoning.Segment {
	before, after, found := strings.Cut(text, "###")
	kind := reasoning.Reasoning
	if p.answered {
		kind = reasoning.Content
	}
	dst = append(dst, reasoning.Segment{Kind: kind, Start: p.at, End: p.at + len(before), Text: before})
	if p.at += len(before); found {
		p.answered = true
		p.at += len("###")
		dst = append(dst, reasoning.Segment{Kind: reasoning.Content, Start: p.at, End: p.at + len(after), Text: after})
		p.at += len(after)
	}
	return dst
}

func (p *hasty) Close(dst []reasoning.Segment) []reasoning.Segment { return dst }

func TestRechunkFindsAParserThatDependsOnTheCut(t *testing.T) {
	reasoning.Register(reasoning.Descriptor{Name: "test-hasty", New: func(reasoning.Start) reasoning.Parser { return &hasty{} }})
	args := []string{"parse", "--reasoning-parser", "test-hasty", "--rechunk", "200", "--seed", "7"}
	code, _, first := invoke(t, "a### b", args...)
	if code != exitError || !strings.Contains(first, "split 2 of 200 (--seed 7), cut at 1,2,3,4,5: segment 1 is reasoning [0,6)") {
		t.Errorf("exit %d, %q", code, first)
	}
	if _, _, again := invoke(t, "a### b", args...); again != first {
		t.Errorf("again: %q", again)
	}
	if code, _, stderr := invoke(t, "nothing to miss", args...); code != exitOK {
		t.Errorf("no marker: exit %d, %q", code, stderr)
	}
}

// Every parser of the program holds the law on a text with everything in it.
func TestRechunkIsHeldByEveryParser(t *testing.T) {
	for _, name := range reasoning.Names() {
		if strings.HasPrefix(name, "test-") {
			continue
		}
		d, err := reasoning.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		text := "so " + strings.Join(append(d.Opens, d.Closes...), " it\nis ") + " done"
		if code, _, stderr := invoke(t, text, "parse", "--format", "text", "--reasoning-parser", name, "--rechunk", "50"); code != exitOK {
			t.Errorf("%s on %q: %s", name, text, stderr)
		}
	}
}
