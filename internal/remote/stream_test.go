package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/llm"
)

func chunk(choice int, text string) string {
	b, _ := json.Marshal(text)
	return fmt.Sprintf(`{"id":"c","object":"chat.completion.chunk","choices":[{"index":%d,"delta":{"content":%s},"finish_reason":null}]}`, choice, b)
}

func end(choice int, reason string) string {
	return fmt.Sprintf(`{"choices":[{"index":%d,"delta":{},"finish_reason":%q}]}`, choice, reason)
}

const usage = `{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":9,"total_tokens":16,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}}`

func TestAnAnswerArrivesWithUsageAndFinish(t *testing.T) {
	leakCheck(t)
	tw := newTwin(t, says(sse(chunk(0, ""), chunk(0, "Hé"), chunk(0, "llo 🙂"), end(0, "length"), usage)))
	e := newEngine(t, Config{BaseURL: tw.URL})
	a := ask(t, e, chatRequest(1))[0]
	fin := a.finish[0]
	if a.raw() != "Héllo 🙂" || fin.Reason != llm.FinishLength || fin.Cached != 4 || fin.StopID != -1 {
		t.Errorf("got %q, %+v", a.raw(), fin)
	}
	if u := fin.Usage; u == nil || *u != (llm.Usage{Prompt: 7, Cached: 4, Completion: 9, Reasoning: 2}) {
		t.Errorf("usage is %+v", u)
	}
	_ = e.Close() // what follows the last finish has been read
	if s := e.Stats(); s.OutputTokens != 9 || s.PromptTokens != 7 || s.CachedTokens != 4 || s.Waiting != 0 || s.Running != 0 {
		t.Errorf("stats are %+v", s)
	}
}

func TestUsageInTheLastFrameCountsToo(t *testing.T) {
	frame := `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":9}}`
	for kind, n := range map[string]int{"openai": 1, "vllm": 1, "sglang": 2} {
		e := newEngine(t, Config{BaseURL: "http://up", Kind: kind, Transport: &pieces{[]string{sse(end(n-1, "stop"), frame)}, io.EOF}})
		fin := ask(t, e, chatRequest(n))[0].finish[0]
		// With several choices, a running count is of one of them.
		if whole := n == 1; whole != (fin.Usage != nil) || whole && *fin.Usage != (llm.Usage{Prompt: 7, Completion: 9}) || fin.Reason != llm.FinishStop {
			t.Errorf("%s: %+v", kind, fin)
		}
	}
}

func TestWhatFollowsAFinishIsDropped(t *testing.T) {
	frames := []string{chunk(0, "a"), end(0, "stop"), chunk(0, "b"), end(0, "length"), chunk(1, "c"), end(1, "stop"), chunk(1, "d"), chunk(0, "e"), end(1, "length"), usage}
	e := newEngine(t, Config{BaseURL: "http://up", Transport: &pieces{[]string{sse(frames...)}, io.EOF}})
	for i, a := range ask(t, e, chatRequest(2)) {
		if a.raw() != []string{"a", "c"}[i] || a.finish[0].Reason != llm.FinishStop {
			t.Errorf("choice %d: %q, %+v", i, a.raw(), a.finish[0])
		}
	}
}

func TestAConnectionServesOneRequestAfterTheOther(t *testing.T) {
	tw := newTwin(t, says(sse(chunk(0, "a"), end(0, "stop"), usage)))
	var dialled atomic.Int32
	transport := newTransport(time.Second)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dialled.Add(1)
		return dial(ctx, network, address)
	}
	e := newEngine(t, Config{BaseURL: tw.URL, Transport: transport})
	for range 5 {
		ask(t, e, chatRequest(1))
		e.wg.Wait() // the last byte has been read
	}
	if n := dialled.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// script is an answer of two choices that exercises the framing: CRLF, comments,
// data over two lines, escapes, a late choice.
var script = strings.ReplaceAll(": ping\n\n"+
	"data: "+chunk(0, "<think>αβ")+"\n\n"+
	"data: "+chunk(1, "日本")+"\n\n"+
	": ping\n"+
	"data: {\"choices\":[{\"index\":0,\n"+
	"data: \"delta\":{\"content\":\"\\ud83d\\ude42</think>\"}}]}\n\n"+
	"event: message\nid: 4\nretry: 10\ndata:"+end(1, "stop")+"\n\n"+
	"data: "+chunk(0, "x\n")+"\n\n"+
	"data: "+end(0, "stop")+"\n\n"+
	"data: "+usage+"\n\ndata: [DONE]\n\n", "\n", "\r\n")

var scriptTexts = []string{"<think>αβ🙂</think>x\n", "日本"}

// pieces is an upstream without sockets: the body comes in the given pieces
// and then ends with err.
type pieces struct {
	parts []string
	err   error
}

func (p *pieces) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}}, Body: &piecesBody{pieces{slices.Clone(p.parts), p.err}}}, nil
}

type piecesBody struct{ pieces }

func (b *piecesBody) Read(p []byte) (int, error) {
	if len(b.parts) == 0 {
		return 0, b.err
	}
	n := copy(p, b.parts[0])
	if b.parts[0] = b.parts[0][n:]; b.parts[0] == "" {
		b.parts = b.parts[1:]
	}
	return n, nil
}

func (b *piecesBody) Close() error { return nil }

func TestTheAnswerDoesNotDependOnWhereTheBytesAreCut(t *testing.T) {
	check := func(parts ...string) {
		t.Helper()
		e := newEngine(t, Config{BaseURL: "http://up", Transport: &pieces{parts, io.EOF}})
		for i, a := range ask(t, e, chatRequest(2)) {
			if a.raw() != scriptTexts[i] || a.finish[0].Reason != llm.FinishStop {
				t.Fatalf("choice %d in %d parts: %q, %+v", i, len(parts), a.raw(), a.finish[0])
			}
		}
	}
	check(strings.Split(script, "")...)
	var bytes []string
	for i := range len(script) {
		check(script[:i], script[i:])
		bytes = append(bytes, script[i:i+1])
	}
	check(bytes...)
	check(strings.ReplaceAll(script, "\r\n", "\n"))
	check(strings.ReplaceAll(script, "\r\n", "\r"))
	check("\xef\xbb\xbf" + script)
}

func TestAnUpstreamKilledAtAnyByteEndsEveryChoiceOnce(t *testing.T) {
	leakCheck(t)
	for _, cause := range []error{io.EOF, io.ErrUnexpectedEOF, errors.New("connection reset by peer")} {
		for i := range len(script) + 1 {
			e := newEngine(t, Config{BaseURL: "http://up", Transport: &pieces{[]string{script[:i]}, cause}})
			for c, a := range ask(t, e, chatRequest(2)) {
				if !strings.HasPrefix(scriptTexts[c], a.raw()) {
					t.Fatalf("cut at %d: choice %d has %q", i, c, a.raw())
				}
				fin := a.finish[0]
				switch whole := strings.Contains(script[:i], end(c, "stop")+"\r\n\r"); {
				case whole && (fin.Reason != llm.FinishStop || fin.Err != nil || a.raw() != scriptTexts[c]):
					t.Fatalf("cut at %d: choice %d was complete and ends with %+v", i, c, fin)
				case !whole && (fin.Reason != llm.FinishError || fin.Err == nil):
					t.Fatalf("cut at %d: choice %d was cut and ends with %+v", i, c, fin)
				}
			}
		}
	}
}

func TestADeadUpstreamEndsStreamsAtOnce(t *testing.T) {
	leakCheck(t)
	begun := make(chan net.Conn, 8)
	tw := newTwin(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = buf.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
		frame := "data: " + chunk(0, "half") + "\n\ndata: {\"cho"
		_, _ = fmt.Fprintf(buf, "%x\r\n%s\r\n", len(frame), frame)
		_ = buf.Flush()
		begun <- conn
	})
	e := newEngine(t, Config{BaseURL: tw.URL})
	for range 8 {
		s, err := e.Submit(context.Background(), chatRequest(1))
		if err != nil {
			t.Fatal(err)
		}
		conn := <-begun
		if _, err := s.Recv(context.Background()); err != nil {
			t.Fatal(err)
		}
		_ = conn.(*net.TCPConn).SetLinger(0) // the kernel sends a reset, as for a process that was killed
		_ = conn.Close()
		killed := time.Now()
		a := collect(t, s, 1)[0]
		if took := time.Since(killed); took > 2*time.Second || a.finish[0].Reason != llm.FinishError {
			t.Errorf("after %v: %+v", took, a.finish[0])
		}
	}
}

func TestStopEndsAChoiceAndTheLastStopClosesTheUpstream(t *testing.T) {
	leakCheck(t)
	gone := make(chan struct{})
	tw := newTwin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: "+chunk(0, "a")+"\n\ndata: "+chunk(1, "b")+"\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	})
	e := newEngine(t, Config{BaseURL: tw.URL})
	s, err := e.Submit(context.Background(), chatRequest(2))
	if err != nil {
		t.Fatal(err)
	}
	s.Stop(1, "b")
	s.Stop(1, "b")
	select {
	case <-gone:
		t.Fatal("the upstream was closed while a choice ran")
	default:
	}
	s.Stop(0, "a")
	<-gone
	for i, a := range collect(t, s, 2) {
		if fin := a.finish[0]; fin.Reason != llm.FinishStop || fin.StopText != []string{"a", "b"}[i] || fin.Err != nil {
			t.Errorf("choice %d: %+v", i, fin)
		}
	}
	if b := tw.body(t); b["stop"] != nil {
		t.Errorf("stop was sent: %v", b["stop"])
	}
}

// hangs streams a beginning and then holds until the client has gone.
func hangs(gone chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: "+chunk(0, "a")+"\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	}
}

func TestEveryWayToCancelClosesTheUpstreamAndAborts(t *testing.T) {
	for name, cancelBy := range map[string]func(s llm.Stream, ctx context.CancelFunc, e *Engine){
		"context": func(_ llm.Stream, cancel context.CancelFunc, _ *Engine) { cancel() },
		"stream":  func(s llm.Stream, _ context.CancelFunc, _ *Engine) { s.Close(); s.Close() },
		"engine":  func(_ llm.Stream, _ context.CancelFunc, e *Engine) { _ = e.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			leakCheck(t)
			gone := make(chan struct{}, 1)
			e := newEngine(t, Config{BaseURL: newTwin(t, hangs(gone)).URL})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			s, err := e.Submit(ctx, chatRequest(1))
			if err != nil {
				t.Fatal(err)
			}
			cancelBy(s, cancel, e)
			<-gone
			if fin := collect(t, s, 1)[0].finish[0]; fin.Reason != llm.FinishAbort || fin.Err == nil {
				t.Errorf("finish is %+v", fin)
			}
			_ = e.Close()
			if _, err := e.Submit(context.Background(), chatRequest(1)); llm.KindOf(err) != llm.Stopping {
				t.Errorf("a closed engine says %v", err)
			}
		})
	}
}

func TestASilentUpstreamIsGivenUp(t *testing.T) {
	leakCheck(t)
	gone := make(chan struct{}, 1)
	e := newEngine(t, Config{BaseURL: newTwin(t, hangs(gone)).URL, IdleTimeout: 20 * time.Millisecond})
	a := ask(t, e, chatRequest(1))[0]
	if a.raw() != "a" || a.finish[0].Reason != llm.FinishError || !errors.Is(a.finish[0].Err, errSilent) {
		t.Errorf("got %q, %+v", a.raw(), a.finish[0])
	}
	<-gone
}

func TestAFinishDoesNotWaitForAUsageThatNeverComes(t *testing.T) {
	gone := make(chan struct{}, 1)
	tw := newTwin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: "+chunk(0, "a")+"\n\ndata: "+end(0, "stop")+"\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	})
	e := newEngine(t, Config{BaseURL: tw.URL, TrailerTimeout: 20 * time.Millisecond})
	if fin := ask(t, e, chatRequest(1))[0].finish[0]; fin.Reason != llm.FinishStop || fin.Err != nil || fin.Usage != nil {
		t.Errorf("finish is %+v", fin)
	}
	<-gone
}

func TestAReaderThatIsBehindBoundsWhatIsKept(t *testing.T) {
	leakCheck(t)
	text := strings.Repeat("x", 1000)
	const frames = 2000
	var all []string
	for range frames {
		all = append(all, chunk(0, text))
	}
	tw := newTwin(t, says(sse(append(all, end(0, "stop"))...)))
	e := newEngine(t, Config{BaseURL: tw.URL, MaxUnread: 4000, IdleTimeout: 5 * time.Second})
	s, err := e.Submit(context.Background(), chatRequest(1))
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	for {
		deltas, err := s.Recv(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || len(deltas) > 6 {
			t.Fatalf("%d deltas at once, %v", len(deltas), err)
		}
		for _, d := range deltas {
			got += len(d.Text)
		}
	}
	if got != frames*1000 {
		t.Errorf("%d bytes arrived", got)
	}
	// One that reads no more at all is ended by Close.
	s, err = e.Submit(context.Background(), chatRequest(1))
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if fin := collect(t, s, 1)[0].finish[0]; fin.Reason != llm.FinishAbort {
		t.Errorf("finish is %+v", fin)
	}
}

func TestAnswersThatAreNoneEndWithAnError(t *testing.T) {
	for name, text := range map[string]string{
		"not JSON":         "data: hello\n\n",
		"not an object":    "data: 7\n\n",
		"wrong type":       `data: {"choices":[{"index":0,"delta":{"content":[1]}}]}` + "\n\n",
		"no such choice":   "data: " + chunk(1, "a") + "\n\n",
		"negative choice":  "data: " + chunk(-1, "a") + "\n\n",
		"an endless line":  "data: " + strings.Repeat("x", 5000),
		"an endless event": strings.Repeat("data: "+strings.Repeat("x", 500)+"\n", 10),
		"nothing":          "",
		"only done":        "data: [DONE]\n\n",
	} {
		e := newEngine(t, Config{BaseURL: "http://up", MaxFrame: 4000, Transport: &pieces{[]string{text}, io.EOF}})
		fin := ask(t, e, chatRequest(1))[0].finish[0]
		if fin.Reason != llm.FinishError || llm.KindOf(fin.Err) != llm.Internal {
			t.Errorf("%s: %+v", name, fin)
		}
	}
}
