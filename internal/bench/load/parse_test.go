package load

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestBoundsAreReadAsTheyAreWritten(t *testing.T) {
	s, err := ParseSLO("ttft=500ms, itl=50ms,answer=2s,e2e=1m0s")
	if err != nil || s != (SLO{TTFT: 500 * ms, ITL: 50 * ms, Answer: 2 * time.Second, E2E: time.Minute}) {
		t.Errorf("%+v, %v", s, err)
	}
	if back, err := ParseSLO(s.String()); err != nil || back != s {
		t.Errorf("%q becomes %+v, %v", s, back, err)
	}
	for text, says := range map[string]string{
		"": "no bound such as", "ttft": "no bound such as", "speed=1s": `"speed" is none of ttft, answer`, "itl=50": "itl: ", "ttft=-1s": "ttft: ",
	} {
		if _, err := ParseSLO(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestABoundIsKeptUpToItsValue(t *testing.T) {
	r := Request{First: 100 * ms, Answer: 150 * ms, Total: 400 * ms, Completion: 3, At: []time.Duration{100 * ms, 150 * ms, 300 * ms}}
	for _, c := range []struct {
		slo  SLO
		kept bool
	}{
		{SLO{}, true}, {SLO{TTFT: 100 * ms}, true}, {SLO{TTFT: 99 * ms}, false}, {SLO{Answer: 150 * ms}, true}, {SLO{Answer: 149 * ms}, false},
		{SLO{E2E: 400 * ms}, true}, {SLO{E2E: 399 * ms}, false}, {SLO{TPOT: 100 * ms}, true}, {SLO{TPOT: 99 * ms}, false},
	} {
		if c.slo.kept(&r) != c.kept {
			t.Errorf("%s: kept %v", c.slo, !c.kept)
		}
	}
	r.Answer = 0
	if (SLO{Answer: time.Hour}).kept(&r) {
		t.Error("an answer that never began kept its bound")
	}
	if (SLO{}).kept(&Request{Kind: kindCut}) {
		t.Error("a request that failed was served well")
	}
	// Of 200 gaps two may be longer, for 99 of 100 are looked at; a third may not.
	slow := Request{At: []time.Duration{0}}
	for i := range 200 {
		gap := 10 * ms
		if i%100 == 7 {
			gap = time.Second
		}
		slow.At = append(slow.At, slow.At[i]+gap)
	}
	if !(SLO{ITL: 10 * ms}).kept(&slow) {
		t.Error("one gap of a hundred broke the bound")
	}
	slow.At[100] += 500 * ms
	if (SLO{ITL: 10 * ms}).kept(&slow) {
		t.Error("three gaps of two hundred kept the bound")
	}
}

func TestPromptsAreReadALineEach(t *testing.T) {
	p, err := ReadPrompts(strings.NewReader("\"a\\nb\"\n\n{\"prompt\": \"c\", \"id\": 7}\n{\"messages\": [{\"role\": \"user\", \"content\": \"d\"}]}\n"))
	if err != nil || len(p.List) != 3 || p.At(3).Text != "a\nb" || p.At(1).Text != "c" || !json.Valid(p.At(2).Messages) {
		t.Errorf("%+v, %v", p, err)
	}
	for text, says := range map[string]string{
		"": "no prompt", "\"a\"\n{\"text\": \"b\"}": "line 2: neither", "{\"prompt\": \"a\", \"messages\": [{}]}": "line 1: neither", "\"a": "line 1",
	} {
		if _, err := ReadPrompts(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestMadePromptsDifferFromTheirFirstWordOn(t *testing.T) {
	p := Prompts{Words: []int{10, 20}, Nonce: "n"}
	seen := map[string]bool{}
	for i := range 200 {
		text := p.At(i).Text
		head, _, _ := strings.Cut(text, " ")
		if seen[head] {
			t.Fatalf("two prompts begin with %q", head)
		}
		seen[head] = true
		if got, want := len(strings.Fields(text)), 1+8+[]int{10, 20}[i%2]; got != want {
			t.Fatalf("prompt %d has %d words, must have %d", i, got, want)
		}
	}
	p.Nonce = ""
	if p.At(0).Text != p.At(distinct).Text || p.At(0).Text == p.At(2).Text {
		t.Error("prompts without a nonce: the same number of words from a few sets")
	}
}

// counting is a server whose usage counts 3 tokens for 2 words, and 20 for the
// template.
type counting struct{}

func (counting) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"data":[{"id":"first"},{"id":"second"}]}`))}, nil
	}
	var body struct {
		Model    string
		Messages []struct{ Content string }
	}
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
		return nil, err
	}
	n := 20 + len(strings.Fields(body.Messages[0].Content))*3/2
	answer := fmt.Sprintf(`{"choices":[{}],"usage":{"prompt_tokens":%d,"completion_tokens":1}}`, n)
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(answer))}, nil
}

func TestPromptsAreAsLongInTokensAsAsked(t *testing.T) {
	cfg := Config{URL: "http://there", Prompts: &Prompts{Nonce: "n"}, Client: &http.Client{Transport: counting{}}, MaxTokens: 1, Requests: 2, Concurrency: 1}
	if err := Open(t.Context(), &cfg, true); err != nil || cfg.Model != "first" {
		t.Fatalf("%v, model %q", err, cfg.Model)
	}
	words, err := WordsFor(t.Context(), cfg, []int{120, 611})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Prompts.Words = words
	out, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{120, 611} {
		if got := out.Requests[i].Prompt; got < want-2 || got > want+2 {
			t.Errorf("a prompt of %d tokens, asked for %d", got, want)
		}
	}
	if _, err := WordsFor(t.Context(), cfg, []int{12}); err == nil {
		t.Error("a prompt shorter than its template was made")
	}
}

func TestJSONKeepsItsFields(t *testing.T) {
	r := Result{Schema: Schema, URL: "u", Model: "m"}
	out := &Outcome{Wall: time.Second, Requests: []Request{{First: ms, Total: 3 * ms, At: []time.Duration{ms, 2 * ms}}, {Kind: kindCut, Err: "e"}}}
	r.Add(&Config{Concurrency: 2, SLO: SLO{TTFT: ms}}, out)
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{
		`"schema":1`, `"url":"u"`, `"model":"m"`, `"concurrency":2`, `"requests":2`, `"ok":1`, `"requests_per_s":1`, `"output_tokens_s":2`,
		`"ttft_ms":{"mean":1,"p50":1,"p90":1,"p99":1,"max":1}`, `"answer_ms":null`, `"itl_ms":{`, `"tpot_ms":{`, `"e2e_ms":{`,
		`"slo":"ttft=1ms"`, `"goodput_per_s":1`, `"slo_kept":0.5`, `"errors":{"cut":1}`, `"says":{"cut":"e"}`, `"wall_s":1`, `"client_cpu_s"`,
	} {
		if !strings.Contains(string(data), field) {
			t.Errorf("no %s in %s", field, data)
		}
	}
	var page strings.Builder
	if err := r.HTML(&page); err != nil || strings.Count(page.String(), "<svg") != 6 || strings.Contains(page.String(), "NaN") {
		t.Errorf("%v, %d charts", err, strings.Count(page.String(), "<svg"))
	}
}
