package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/reasond/reasond/api/responses"
	"github.com/reasond/reasond/internal/engine/scripted"
	"github.com/reasond/reasond/internal/llm"
)

// begun is a streamed response that has been announced and goes on.
type begun struct {
	id     string
	body   io.ReadCloser
	reader *bufio.Reader
	head   string
}

// beginStream asks for a stream and reads its first event.
func (f *fixture) beginResponse(t *testing.T, ctx context.Context, header ...string) *begun {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "POST", f.url("/v1/responses"), strings.NewReader(responseAsk(`"stream":true`)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b := &begun{body: resp.Body, reader: bufio.NewReader(resp.Body)}
	t.Cleanup(func() { resp.Body.Close() })
	for !strings.HasSuffix(b.head, "\n\n") {
		line, err := b.reader.ReadString('\n')
		if err != nil {
			t.Fatalf("%q: %v", b.head, err)
		}
		b.head += line
	}
	b.id = events(t, b.head)[0].data["response"].(object)["id"].(string)
	return b
}

// rest reads the stream to its end.
func (b *begun) rest(t *testing.T) []event {
	t.Helper()
	tail, err := io.ReadAll(b.reader)
	if err != nil {
		t.Fatal(err)
	}
	return events(t, b.head+string(tail))
}

func statusOf(t *testing.T, r response) any {
	t.Helper()
	var o object
	if err := json.Unmarshal([]byte(r.body), &o); err != nil || r.status != 200 {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return o["status"]
}

func TestACancelledResponseEndsAndSaysSo(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	f := begin(t, Config{APIKeys: []string{"a", "b"}}, scripted.Config{Script: at(30, hold)})
	key, other := []string{"Authorization", "Bearer a"}, []string{"Authorization", "Bearer b"}
	b := f.beginResponse(t, t.Context(), key...)
	path := "/v1/responses/" + b.id
	if got := statusOf(t, f.do(t, "GET", path, "", key...)); got != "in_progress" {
		t.Errorf("while it runs it is %v", got)
	}
	for _, r := range []response{f.do(t, "GET", path, "", other...), f.do(t, "POST", path+"/cancel", "", other...), f.do(t, "GET", path+"/input_items", "", other...)} {
		if r.status != 404 {
			t.Errorf("another key reaches it: %d %s", r.status, r.body)
		}
	}
	cancelled := f.do(t, "POST", path+"/cancel", "", key...)
	if got := statusOf(t, cancelled); got != "cancelled" {
		t.Errorf("cancelled it is %v", got)
	}
	last := fold(t, b.rest(t))
	for _, r := range []response{cancelled, f.do(t, "GET", path, "", key...), f.do(t, "POST", path+"/cancel", "", key...)} {
		var o object
		if err := json.Unmarshal([]byte(r.body), &o); err != nil || jsonOf(t, o) != jsonOf(t, last) {
			t.Errorf("the stream ends with %v, another says %d %s", last, r.status, r.body)
		}
	}
	if kinds(last) != "reasoning" || last["output"].([]any)[0].(object)["status"] != "incomplete" {
		t.Errorf("what there was: %v", last)
	}
	eventually(t, "nothing is left", f.idle)
}

// A whole answer ends by its cancellation too, with what there is; nobody is
// told its id before, but it runs under one.
func TestAWholeResponseCanBeCancelled(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	f := begin(t, Config{}, scripted.Config{Script: at(30, hold)})
	done := make(chan response)
	go func() { done <- f.respond(t, responseAsk()) }()
	var id string
	eventually(t, "it runs", func() bool {
		f.responses.mu.Lock()
		defer f.responses.mu.Unlock()
		for id = range f.responses.running {
		}
		return id != ""
	})
	f.do(t, "POST", "/v1/responses/"+id+"/cancel", "")
	if got := statusOf(t, <-done); got != "cancelled" {
		t.Errorf("it is %v", got)
	}
}

func TestAClientThatGoesEndsItsResponse(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	f := begin(t, Config{}, scripted.Config{Script: at(30, hold)})
	ctx, leave := context.WithCancel(t.Context())
	b := f.beginResponse(t, ctx)
	leave()
	eventually(t, "its slot is free", f.idle)
	eventually(t, "it does not run", func() bool { _, runs := f.responses.current("", b.id); return !runs })
	if got := statusOf(t, f.do(t, "GET", "/v1/responses/"+b.id, "")); got != "cancelled" {
		t.Errorf("it is %v", got)
	}
	if r := f.do(t, "POST", "/v1/responses/"+b.id+"/cancel", ""); r.status != 200 {
		t.Errorf("cancelled once more: %d %s", r.status, r.body)
	}
}

// An error in a stream is told twice: as an event, and as the end of a response
// that failed. Before the stream it is a status, and no response is there.
func TestAFaultEndsAResponse(t *testing.T) {
	for _, k := range []int{0, 25} {
		f := begin(t, Config{}, scripted.Config{Script: func(*llm.Request, int) []scripted.Step {
			steps := spell(raw, 1)(nil, 0)
			steps[k].Err = errors.New("device secret 0xdead")
			return steps
		}})
		whole := f.respond(t, responseAsk())
		if e := envelope(t, whole); whole.status != 500 || strings.Contains(e.Message, "secret") {
			t.Errorf("whole: %d %s", whole.status, whole.body)
		}
		streamed := f.respond(t, responseAsk(`"stream":true`))
		if k == 0 {
			if envelope(t, streamed); streamed.status != 500 {
				t.Errorf("before the first byte: %d %s", streamed.status, streamed.body)
			}
		} else {
			all := events(t, streamed.body)
			last := fold(t, all)
			if e := all[len(all)-2]; e.name != "error" || e.data["message"] == "" || last["status"] != "failed" || last["error"].(object)["code"] != "server_error" {
				t.Errorf("the stream ends with %v, %v", e, last)
			}
			if got := statusOf(t, f.do(t, "GET", "/v1/responses/"+last["id"].(string), "")); got != "failed" {
				t.Errorf("the store has it %v", got)
			}
		}
		if n := len(f.responses.running); n != 0 {
			t.Errorf("%d run", n)
		}
	}
}

// A drain that reaches its limit tells the stream.
func TestADrainEndsAResponse(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	f := begin(t, Config{}, scripted.Config{Script: at(30, hold)})
	b := f.beginResponse(t, t.Context())
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_ = f.Drain(ctx)
	if last := fold(t, b.rest(t)); last["status"] != "failed" {
		t.Errorf("it is %v", last["status"])
	}
}

func TestResponsesOfAKeyAreItsOwn(t *testing.T) {
	f := begin(t, Config{APIKeys: []string{"a", "b"}}, scripted.Config{})
	key, other := []string{"Authorization", "Bearer a"}, []string{"Authorization", "Bearer b"}
	r := f.responded(t, responseAsk(), key...)
	id, item := r["id"].(string), r["output"].([]any)[0].(object)["id"].(string)
	next := `{"input":"More.","previous_response_id":"` + id + `"}`
	refer := `{"input":[{"type":"item_reference","id":"` + item + `"},{"role":"user","content":"a"}]}`
	for _, try := range []struct{ method, path, body string }{
		{"GET", "/v1/responses/" + id, ""}, {"GET", "/v1/responses/" + id + "/input_items", ""}, {"POST", "/v1/responses/" + id + "/cancel", ""},
		{"POST", "/v1/responses", next}, {"POST", "/v1/responses", refer}, {"DELETE", "/v1/responses/" + id, ""},
	} {
		if r := f.do(t, try.method, try.path, try.body, other...); r.status != 404 && (r.status != 400 || *envelope(t, r).Code != "item_not_found") {
			t.Errorf("another key: %s %s %s: %d %s", try.method, try.path, try.body, r.status, r.body)
		}
		if r := f.do(t, try.method, try.path, try.body); r.status != 401 {
			t.Errorf("no key: %s %s: %d", try.method, try.path, r.status)
		}
		if r := f.do(t, try.method, try.path, try.body, key...); r.status != 200 && !strings.HasSuffix(try.path, "/cancel") {
			t.Errorf("its own key: %s %s %s: %d %s", try.method, try.path, try.body, r.status, r.body)
		}
	}
}

// kept makes a response of about a KiB and more.
func kept(id, previous string, more int) (responses.Response, []responses.Item) {
	r := responses.Response{ID: id, Settings: responses.Settings{Store: true}}
	if previous != "" {
		r.PreviousResponseID = &previous
	}
	return r, []responses.Item{{Type: responses.TypeMessage, ID: "msg_" + id, Role: "user", Parts: []responses.Part{{Text: strings.Repeat("x", more)}}}}
}

func (s *responseStore) keep(tenant, id, previous string, more int) {
	r, input := kept(id, previous, more)
	s.end(s.begin(tenant, r, nil), r, input, true)
}

// Of each key the store holds so many and so much and no more; those that were
// not used for the longest time go, and a conversation goes from its end.
func TestTheStoreIsBounded(t *testing.T) {
	s := newResponseStore(8, 1<<20, 2)
	has := func(tenant, id string) bool { _, ok := s.conversation(tenant, id); return ok }
	for i := range 3 {
		s.keep("a", fmt.Sprint(i), "", 0)
	}
	s.keep("b", "other", "", 0)
	s.find("a", "0")
	s.keep("a", "3", "0", 0)
	s.keep("a", "4", "3", 0)
	// In order of use: 0 3 4, 2; 1 had to go.
	if has("a", "1") || !has("a", "0") || !has("a", "2") || !has("a", "4") {
		t.Errorf("not the oldest went")
	}
	for i := range 3 {
		s.keep("a", fmt.Sprint("new", i), "", 0)
	}
	if !has("a", "0") || has("a", "3") || has("a", "4") || !has("b", "other") {
		t.Error("a conversation did not go from its end, or another key's went")
	}
	s.keep("a", "large", "", 600<<10)
	if has("a", "large") {
		t.Error("one larger than the bound is kept")
	}
	for i := range 100 {
		s.keep("a", fmt.Sprint("big", i), "", 200<<10)
		if h := s.shelves["a"]; h.bytes > 512<<10 || h.order.Len() > 4 || len(h.byID) != h.order.Len() || len(h.items) != h.order.Len() {
			t.Fatalf("%d bytes, %d responses, %d ids, %d items", h.bytes, h.order.Len(), len(h.byID), len(h.items))
		}
	}
	for _, id := range []string{"big99", "big98", "0"} {
		s.delete("a", id)
	}
	if h := s.shelves["a"]; h.bytes != 0 || h.order.Len()+len(h.byID)+len(h.items) != 0 {
		t.Errorf("of nothing there are %d bytes, %d, %d, %d", h.bytes, h.order.Len(), len(h.byID), len(h.items))
	}
	if !has("b", "other") || len(s.running) != 0 {
		t.Error("another key lost its own, or something runs")
	}
}

// A conversation is the items of all its responses from the beginning, and none
// if one of them is gone.
func TestAConversationIsWholeOrNotThere(t *testing.T) {
	s := newResponseStore(100, 1<<20, 1)
	s.keep("", "1", "", 0)
	s.keep("", "2", "1", 0)
	s.keep("", "3", "2", 0)
	items, ok := s.conversation("", "3")
	ids := ""
	for _, it := range items {
		ids += it.ID + " "
	}
	if !ok || ids != "msg_1 msg_2 msg_3 " {
		t.Errorf("%q, %v", ids, ok)
	}
	if it, ok := s.item("", "msg_2"); !ok || it.ID != "msg_2" {
		t.Errorf("%v, %v", it, ok)
	}
	s.delete("", "2")
	if _, ok := s.conversation("", "3"); ok {
		t.Error("a conversation with a gap")
	}
	if _, ok := s.item("", "msg_2"); ok {
		t.Error("an item of a response that is gone")
	}
}

func TestInputItemsComeInPages(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	var input []string
	for i := range 45 {
		input = append(input, fmt.Sprintf(`{"role":"user","content":"%d"}`, i))
	}
	r := f.responded(t, `{"input":[`+strings.Join(input, ",")+`]}`)
	path := "/v1/responses/" + r["id"].(string) + "/input_items?order=asc"
	for _, limit := range []string{"", "&limit=1", "&limit=45", "&limit=100", "&limit=7"} {
		texts, after := "", ""
		for {
			var page struct {
				Data []struct {
					Type    string
					Content []struct{ Text string }
				}
				HasMore bool    `json:"has_more"`
				LastID  *string `json:"last_id"`
			}
			got := f.do(t, "GET", path+limit+after, "")
			if err := json.Unmarshal([]byte(got.body), &page); err != nil || got.status != 200 {
				t.Fatal(got.body)
			}
			for _, it := range page.Data {
				texts += it.Content[0].Text + " "
			}
			if !page.HasMore {
				break
			}
			after = "&after=" + *page.LastID
		}
		if !strings.HasPrefix(texts, "0 1 2 ") || !strings.HasSuffix(texts, " 43 44 ") || strings.Count(texts, " ") != 45 {
			t.Errorf("%s: %s", limit, texts)
		}
	}
	for _, bad := range []string{"&limit=0", "&limit=101", "&limit=x", "&after=msg_none", "&order=up"} {
		if got := f.do(t, "GET", strings.Replace(path, "?order=asc", "?", 1)+bad, ""); got.status != 400 {
			t.Errorf("%s: %d", bad, got.status)
		}
	}
}

// With truncation the oldest messages go, and no more of them than must: never
// the instructions, never the question.
func TestTruncationLeavesTheOldestOut(t *testing.T) {
	var prompts []string
	m, err := openTiny()
	if err != nil {
		t.Fatal(err)
	}
	f := begin(t, Config{}, scripted.Config{Script: func(req *llm.Request, _ int) []scripted.Step {
		prompts = append(prompts, m.tokenizer.Vocab().Decode(req.Prompt.IDs, false))
		if n := len(req.Prompt.IDs); n < 3800 || n > 4096-16 {
			t.Errorf("a prompt of %d tokens", n)
		}
		return spell(raw, 3)(nil, 0)
	}})
	var input []string
	for i := range 100 {
		input = append(input, fmt.Sprintf(`{"role":"user","content":"number %d: %s"}`, i, strings.Repeat("word ", 10)),
			fmt.Sprintf(`{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"result %d"}`, i))
	}
	body := `{"instructions":"Be brief.","input":[` + strings.Join(input, ",") + `,{"role":"user","content":"the question"}]`
	if r := f.respond(t, body+`}`); r.status != 400 || *envelope(t, r).Code != "context_length_exceeded" || *envelope(t, r).Param != "input" {
		t.Errorf("%d %s", r.status, r.body)
	}
	for most := 16; most < 130; most += 38 { // whichever message of a turn is the first that stays
		prompts = nil
		f.responded(t, fmt.Sprintf(`%s,"truncation":"auto","max_output_tokens":%d}`, body, most))
		if len(prompts) != 1 || !strings.Contains(prompts[0], "Be brief.") || !strings.Contains(prompts[0], "the question") || strings.Contains(prompts[0], "number 0:") || !strings.Contains(prompts[0], "result 99") {
			t.Errorf("%q", prompts)
		}
		if calls, results := strings.Count(prompts[0], `"name": "f"`), strings.Count(prompts[0], "result "); calls != results || results == 0 {
			t.Errorf("%d calls, %d results: %q", calls, results, prompts[0])
		}
	}
	if r := f.respond(t, `{"truncation":"auto","input":"`+strings.Repeat("word ", 5000)+`"}`); r.status != 400 {
		t.Errorf("a question that is too long by itself: %d", r.status)
	}
}
