package remote

import (
	"encoding/json"
	"testing"
)

func TestPastReasoningHasEveryNameThatTheUpstreamMayReadItBy(t *testing.T) {
	messages := json.RawMessage(`[{"role":"assistant","content":"b","reasoning_content":"a"},{"role":"user","content":"c"}]`)
	for _, name := range Kinds() {
		k, err := lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		var got []map[string]string
		if err := json.Unmarshal(history(messages, k.reasoning), &got); err != nil || len(got) != 2 {
			t.Fatalf("%s: %v %v", name, got, err)
		}
		for _, reads := range k.reasoning {
			if got[0][reads] != "a" {
				t.Errorf("%s: %s is %q", name, reads, got[0][reads])
			}
		}
		if got[0]["content"] != "b" || len(got[1]) != 2 || got[1]["content"] != "c" {
			t.Errorf("%s: %v", name, got)
		}
	}
	plain := json.RawMessage(`[ {"role":"user","content":"c"} ]`)
	if got := history(plain, []string{"reasoning"}); string(got) != string(plain) {
		t.Errorf("without a thought: %s", got)
	}
}
