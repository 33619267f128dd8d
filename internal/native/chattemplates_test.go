package native

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The published chat templates and what Python's jinja2 makes of them lie beside
// the repository.
const chatTemplates = "../../../shared/chat-templates"

// known are the cases that differ, with the reason.
var known = map[string]string{}

func TestPublishedTemplatesRenderAsInPython(t *testing.T) {
	if _, err := os.Stat(chatTemplates); err != nil {
		t.Skip("no folder of chat templates beside the repository")
	}
	var conversations map[string]map[string]json.RawMessage
	readJSON(t, filepath.Join(chatTemplates, "conversations.json"), &conversations)
	var rendered map[string]map[string]struct {
		OK  *string `json:"ok"`
		Err string  `json:"err"`
	}
	readJSON(t, filepath.Join(chatTemplates, "rendered.json"), &rendered)

	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	cases := 0
	for name, wants := range rendered {
		source, err := os.ReadFile(filepath.Join(chatTemplates, "templates", name+".jinja"))
		if err != nil {
			t.Fatal(err)
		}
		template, err := CompileTemplate(string(source), Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for conversation, want := range wants {
			cases++
			variables := map[string]any{"bos_token": "<BOS>", "eos_token": "<EOS>"}
			for key, value := range conversations[conversation] {
				variables[key] = value
			}
			context, err := json.Marshal(variables)
			if err != nil {
				t.Fatal(err)
			}
			got, err := template.Render(context, now)
			same := (err != nil && want.OK == nil) || (err == nil && want.OK != nil && got == *want.OK)
			if reason, differs := known[name+" "+conversation]; differs == same {
				t.Errorf("%s, %s: same as Python: %v (known to differ: %q)\n got %q, %v\nwant %q, %s",
					name, conversation, same, reason, got, err, deref(want.OK), want.Err)
			}
		}
		template.Close()
	}
	t.Logf("%d cases", cases)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}
