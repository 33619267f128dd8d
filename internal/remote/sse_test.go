package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// The cases follow the HTML standard, section 9.2.6, "Interpreting an event
// stream", and its examples.
func TestEventsAsTheStandardReadsThem(t *testing.T) {
	for text, want := range map[string]string{
		"data: a\n\n":                        "|a;",
		"data:a\n\n":                         "|a;",
		"data:  a\n\n":                       "| a;",
		"data\n\n":                           "|;",
		"data:\ndata:\n\n":                   "|\n;",
		"data: YHOO\ndata: +2\ndata: 10\n\n": "|YHOO\n+2\n10;",
		": comment\n\ndata: a\nid: 1\n\n":    "|a;",
		"event: add\ndata: 7\n\ndata: 8\n\n": "add|7;|8;",
		"event: add\n\ndata: 8\n\n":          "|8;",
		"data: a":                            "",
		"data: a\n":                          "",
		"data: a\r\rdata: b\r\n\r\n":         "|a;|b;",
		"data: a\r\n\rdata: b\n\r":           "|a;|b;",
		"\xef\xbb\xbfdata: a\n\n":            "|a;",
		"\ndata: a\n\n\n\n":                  "|a;",
		"retry: 10\nDATA: a\ndatax: b\n\n":   "",
		"data: \xff\x00\n\n":                 "|\xff\x00;",
		"error: {}\n\n":                      "error|{};",
	} {
		for name, src := range map[string]io.Reader{"whole": strings.NewReader(text), "bytes": iotest.OneByteReader(strings.NewReader(text))} {
			got, r := "", newSSEReader(src, 100)
			for {
				e, err := r.next()
				if err != nil {
					if !errors.Is(err, io.EOF) {
						t.Errorf("%q: %v", text, err)
					}
					break
				}
				got += fmt.Sprintf("%s|%s;", e.name, e.data)
			}
			if got != want {
				t.Errorf("%q in %s: %q, want %q", text, name, got, want)
			}
		}
	}
}

// endless repeats its text for ever.
type endless string

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n+len(e) <= len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

func TestAnEventIsNeverLongerThanTheLimit(t *testing.T) {
	for _, text := range []endless{"x", "data: x\n", "data:\n"} {
		r := newSSEReader(endless(text), 1000)
		if text == "x" {
			r = newSSEReader(io.MultiReader(strings.NewReader("data: "), endless("x")), 1000)
		}
		if _, err := r.next(); !errors.Is(err, errFrameTooLong) {
			t.Errorf("%q: %v", text, err)
		}
		if cap(r.line) > 4000 || cap(r.data) > 4000 {
			t.Errorf("%q: %d and %d bytes are kept", text, cap(r.line), cap(r.data))
		}
	}
}

// FuzzAnswer feeds any bytes as an upstream's answer: every choice ends exactly
// once, and cutting the bytes elsewhere changes nothing.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(script), 7)
	for _, c := range kindCases {
		f.Add([]byte(sse(c.frames...)), 3)
	}
	f.Add([]byte("data: {\"error\":null}\n\nerror: 1\n\n"), 1)
	f.Fuzz(func(t *testing.T, body []byte, cut int) {
		read := func(parts ...string) string {
			e, err := New(Config{BaseURL: "http://up", Kind: "openai", Model: "m", MaxFrame: 1 << 16, Transport: &pieces{parts, io.EOF}})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			s, err := e.Submit(context.Background(), chatRequest(2))
			if err != nil {
				t.Fatal(err)
			}
			all := collect(t, s, 2)
			out := ""
			for _, a := range all {
				out += show(a.text) + string(a.finish[0].Reason) + a.finish[0].StopText + show(a.logprobs)
			}
			return out
		}
		text := string(body)
		if cut = max(cut, 0) % (len(text) + 1); cut == 0 || cut == len(text) {
			read(text + "\n")
			return
		}
		if a, b := read(text+"\n"), read(text[:cut], text[cut:]+"\n"); a != b {
			t.Errorf("cut at %d: %s, else %s", cut, b, a)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	frames := make([]string, 1000)
	for i := range frames {
		frames[i] = chunk(0, "some text ")
	}
	text := sse(append(frames, end(0, "stop"), usage)...)
	e, err := New(Config{BaseURL: "http://up", Kind: "openai", Model: "m", Transport: &pieces{[]string{text}, io.EOF}})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		s, err := e.Submit(context.Background(), chatRequest(1))
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = s.Recv(context.Background())
		}
	}
}
