package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/internal/llm"
)

// nobody has no environment variable set.
func nobody(string) (string, bool) { return "", false }

// invoke runs a command line with an input and returns what it wrote.
func invoke(t *testing.T, input string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, world{in: strings.NewReader(input), out: &out, err: &err, getenv: nobody})
	return code, out.String(), err.String()
}

// The screen shows the same whatever the pieces are, and nothing of the white
// space that surrounds reasoning or content.
func TestTheScreenDoesNotDependOnTheCut(t *testing.T) {
	const reasoning, content = "\nLet me\n\nsee. \n", "\n\nIt is\n 9.8. \n"
	show := func(dim, think bool, cut int) string {
		var out bytes.Buffer
		s := screen{out: &out, dim: dim, reasoning: think}
		for piece := range slices.Chunk([]byte(reasoning), cut) {
			s.show(llm.EventReasoning, string(piece))
		}
		for piece := range slices.Chunk([]byte(content), cut) {
			s.show(llm.EventContent, string(piece))
		}
		s.end()
		if s.content.String() != content {
			t.Errorf("content is %q", s.content.String())
		}
		return out.String()
	}
	for _, cut := range []int{1, 2, 3, 5, 100} {
		for want, got := range map[string]string{
			"\x1b[2mLet me\n\nsee.\x1b[0m\n\nIt is\n 9.8.\n": show(true, true, cut),
			"Let me\n\nsee.\n\nIt is\n 9.8.\n":               show(false, true, cut),
			"It is\n 9.8.\n":                                 show(false, false, cut),
		} {
			if got != want {
				t.Errorf("cut %d:\n got %q\nwant %q", cut, got, want)
			}
		}
	}
}

func TestTheTerminalObeysNoModel(t *testing.T) {
	var out bytes.Buffer
	s := screen{out: &out, tty: true}
	s.show(llm.EventContent, "a\x1b[2Jb\u009bc\td\r\ne")
	s.end()
	if out.String() != "a[2Jbc\td\ne\n" || s.content.String() != "a\x1b[2Jb\u009bc\td\r\ne" {
		t.Errorf("%q, %q", out.String(), s.content.String())
	}
}

// upstream answers each conversation with the reasoning "turn N" and its last
// message in capitals, and remembers what it was asked.
func upstream(t *testing.T, asked *[]chatBody) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body chatBody
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.URL.Path != "/v1/chat/completions" {
			t.Errorf("%s: %v", r.URL, err)
		}
		if r.Header.Get("Authorization") != "Bearer k" {
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":{"message":"no key"}}`)
			return
		}
		*asked = append(*asked, body)
		last := body.Messages[len(body.Messages)-1].Content
		if last == "break" {
			io.WriteString(w, "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n")
			return
		}
		if last == "fail" {
			io.WriteString(w, "data: {\"error\":{\"message\":\"device lost\"}}\n\n")
			return
		}
		fmt.Fprintf(w, ": keep-alive\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\n\n")
		fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"turn %d\",\"reasoning\":\"turn %[1]d\"}}]}\n\n", len(*asked))
		fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{\"content\":%q}}]}\n\n", strings.ToUpper(last))
		fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[]}\n\ndata: [DONE]\n\n")
	}))
	t.Cleanup(s.Close)
	return s
}

func TestChatInAPipeKeepsTheConversation(t *testing.T) {
	var asked []chatBody
	s := upstream(t, &asked)
	code, out, stderr := invoke(t, "one\n\ntwo\n/clear\nthree\n/exit\nnever\n",
		"chat", "--url", s.URL+"/v1/", "--api-key", "k", "--system", "Be brief.", "--temperature", "0", "--max_tokens", "9", "--reasoning", "show")
	if code != exitOK || stderr != "" || out != "turn 1\n\nONE\nturn 2\n\nTWO\nturn 3\n\nTHREE\n" {
		t.Errorf("exit %d, out %q, err %q", code, out, stderr)
	}
	if len(asked) != 3 {
		t.Fatalf("%d requests", len(asked))
	}
	want := []message{{"system", "Be brief."}, {"user", "one"}, {"assistant", "ONE"}, {"user", "two"}}
	if !slices.Equal(asked[1].Messages, want) {
		t.Errorf("second request: %v", asked[1].Messages)
	}
	if want := want[:1:1]; !slices.Equal(asked[2].Messages, append(want, message{"user", "three"})) {
		t.Errorf("after /clear: %v", asked[2].Messages)
	}
	if b := asked[0]; b.Model != "default" || !b.Stream || *b.Temperature != 0 || b.MaxTokens != 9 {
		t.Errorf("%+v", b)
	}
}

func TestChatWithoutATerminalWritesOnlyTheAnswer(t *testing.T) {
	var asked []chatBody
	s := upstream(t, &asked)
	if code, out, _ := invoke(t, "one", "chat", "--url", s.URL, "--api-key", "k"); code != exitOK || out != "ONE\n" {
		t.Errorf("exit %d, out %q", code, out)
	}
}

func TestChatSaysWhyAnAnswerFailed(t *testing.T) {
	var asked []chatBody
	s := upstream(t, &asked)
	for _, tc := range []struct {
		input, key, url, want string
		code                  int
	}{
		{"one", "wrong", s.URL, "reasond: the server answered 401 Unauthorized: no key\n", exitError},
		{"break", "k", s.URL, "reasond: the server's stream broke off\n", exitError},
		{"fail", "k", s.URL, "reasond: the server stopped: device lost\n", exitError},
		{"one", "k", "127.0.0.1:1", "reasond: --url \"127.0.0.1:1\": not a URL such as http://127.0.0.1:8000\n", exitUsage},
	} {
		code, _, stderr := invoke(t, tc.input, "chat", "--url", tc.url, "--api-key", tc.key)
		if code != tc.code || stderr != tc.want {
			t.Errorf("%+v: exit %d, %q", tc, code, stderr)
		}
	}
}

func TestACancelledContextEndsAnAnswer(t *testing.T) {
	started := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		close(started)
		<-r.Context().Done()
	}))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	r, err := newRemoteTalker(chatOptions{url: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.talk(ctx, nil, func(llm.EventKind, string) {}); err == nil {
		t.Error("no error")
	}
}
