package server

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/reasond/reasond/api/ollama"
	"github.com/reasond/reasond/internal/engine/scripted"
)

// Clients divide the counts by the durations, of whole answers too.
func TestOllamaAnswersSayHowLongTheyTook(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	for _, c := range []struct{ path, ask string }{
		{"/api/chat", `"messages":[{"role":"user","content":"?"}]`}, {"/api/generate", `"prompt":"?"`}, {"/api/generate", `"prompt":"?","raw":true`},
	} {
		for _, stream := range []string{"false", "true"} {
			r := f.do(t, "POST", c.path, `{"model":"tiny",`+c.ask+`,"stream":`+stream+`}`)
			var last ollama.Chunk
			lines := bodies("application/x-ndjson", r.body)
			if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil || last.Ended == nil {
				t.Fatalf("%s: %v", r.body, err)
			}
			if e := last.Ended; e.EvalCount == 0 || e.EvalDuration <= 0 || e.PromptEvalDuration <= 0 || e.PromptEvalDuration+e.EvalDuration != e.TotalDuration {
				t.Errorf("%s, %s, stream %s: %+v", c.path, c.ask, stream, e)
			}
		}
	}
}

// Who asks nothing has a model loaded: it is there, and nothing is generated.
func TestOllamaClientsLoadByAskingNothing(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	for _, c := range []struct {
		path, body string
		status     int
	}{
		{"/api/generate", `{"model":"tiny"}`, 200}, {"/api/generate", `{"model":"tiny","prompt":"","keep_alive":-1}`, 200},
		{"/api/chat", `{"model":"tiny:latest","messages":[]}`, 200},
		{"/api/generate", `{"model":"no"}`, 404}, {"/api/chat", `{"model":"no","messages":[]}`, 404},
	} {
		r := f.do(t, "POST", c.path, c.body)
		if r.status != c.status {
			t.Errorf("%s: %d %s", c.body, r.status, r.body)
			continue
		}
		var loaded ollama.Chunk
		if err := json.Unmarshal([]byte(r.body), &loaded); r.status == 200 && (err != nil || !loaded.Done || loaded.DoneReason != "load" || loaded.Model != "tiny-reasoner") {
			t.Errorf("%s: %s", c.body, r.body)
		}
	}
	if n := f.engine.Stats().OutputTokens; n != 0 {
		t.Errorf("%d tokens were generated", n)
	}
}

// Ollama's command cuts the digest to 12 characters and takes a model whose time
// has come for one that is being stopped; editors look for the context's length
// under the architecture's name.
func TestOllamaListsAreWhatItsClientsReadOfThem(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	for _, method := range []string{"HEAD", "GET"} {
		if r := f.do(t, method, "/", ""); r.status != 200 || (method == "GET") != (r.body != "") {
			t.Errorf("%s /: %d %q", method, r.status, r.body)
		}
	}
	var tags ollama.Tags
	var running ollama.Running
	var show ollama.Show
	for path, into := range map[string]any{"/api/tags": &tags, "/api/ps": &running} {
		if err := json.Unmarshal([]byte(f.do(t, "GET", path, "").body), into); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal([]byte(f.do(t, "POST", "/api/show", `{"model":"tiny"}`).body), &show); err != nil {
		t.Fatal(err)
	}
	listed, loaded := tags.Models[0], running.Models[0]
	if len(listed.Digest) != 64 || !reflect.DeepEqual(loaded.Model, listed) {
		t.Errorf("listed as %+v, loaded as %+v", listed, loaded.Model)
	}
	expires, err := time.Parse(time.RFC3339, loaded.ExpiresAt)
	architecture, _ := show.ModelInfo["general.architecture"].(string)
	length, _ := show.ModelInfo[architecture+".context_length"].(float64)
	if err != nil || time.Until(expires) < 24*time.Hour || loaded.ContextLength == 0 || int(length) != loaded.ContextLength {
		t.Errorf("%+v, context %v: %v", loaded, length, err)
	}
}
