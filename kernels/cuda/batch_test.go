package cuda

import (
	"fmt"
	"os"
	"regexp"
	"testing"
)

// batch.cuh says what batch.go says.
func TestKernelsAndLaunchersAgreeOnTheBatch(t *testing.T) {
	text, err := os.ReadFile("batch.cuh")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{
		"HEADER_ROWS": HeaderRows, "HEADER_LOGITS": HeaderLogits, "HEADER_COPIES": HeaderCopies,
		"HEADER_NARROW": HeaderNarrow, "HEADER_MERGES": HeaderMerges, "SEQ_WORDS": SeqWords, "SEQ_TABLE": 4, "PAGE": PageTokens,
	}
	for _, m := range regexp.MustCompile(`([A-Z_]+) = (\d+)`).FindAllStringSubmatch(string(text), -1) {
		if m[2] != fmt.Sprint(want[m[1]]) {
			t.Errorf("%s is %s, want %d", m[1], m[2], want[m[1]])
		}
		delete(want, m[1])
	}
	if len(want) > 0 {
		t.Errorf("batch.cuh lacks %v", want)
	}
}
