package native

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestAPanicIsAnErrorThatSaysWhere(t *testing.T) {
	for range 3 {
		err := induce("on \x00 purpose")
		var panicked *PanicError
		if !errors.As(err, &panicked) || !strings.HasPrefix(panicked.Message, "on \x00 purpose at ") {
			t.Errorf("got %v", err)
		}
	}
}

func TestTheGrammarLibraryIsLinked(t *testing.T) {
	if version, err := GrammarVersion(); err != nil || !strings.Contains(version, ".") {
		t.Errorf("got %q, %v", version, err)
	}
}

// Ten thousand of everything leaves no memory behind.
func TestCallsLeaveNoMemoryBehind(t *testing.T) {
	if _, err := residentBytes(); err != nil {
		t.Skipf("the process's memory cannot be read: %v", err)
	}
	data := tinyReasoner(t)
	work := func(n int) {
		tokenizer, err := NewTokenizer(data)
		if err != nil {
			t.Fatal(err)
		}
		defer tokenizer.Close()
		template, err := CompileTemplate("{% for m in messages %}{{ m|tojson }}{% endfor %}{{ x.y }}", Limits{})
		if err != nil {
			t.Fatal(err)
		}
		defer template.Close()
		for range n {
			ids, err := tokenizer.EncodeSpans("a<|im_end|>b "+strings.Repeat("word ", 50), false, []Span{{1, 11}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tokenizer.Decode(ids, false); err != nil {
				t.Fatal(err)
			}
			if _, err := template.Render([]byte(`{"messages": [{"a": "b"}], "x": {"y": 1}}`), time.Time{}); err != nil {
				t.Fatal(err)
			}
			if _, err := template.Render([]byte(`{"messages": [1]}`), time.Time{}); err == nil {
				t.Fatal("no error")
			}
		}
		for range n / 100 {
			_ = induce(strings.Repeat("x", 1000))
			again, err := CompileTemplate(strings.Repeat("{{ a }}", 100), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			again.Close()
		}
	}
	work(1000)
	before := settled(t)
	work(10000)
	if grown := settled(t) - before; grown > 20<<20 {
		t.Errorf("%d MiB more than before", grown>>20)
	}
}

func settled(t *testing.T) int {
	t.Helper()
	runtime.GC()
	bytes, err := residentBytes()
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func residentBytes() (int, error) {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	pages, err := strconv.Atoi(strings.Fields(string(data))[1])
	return pages * os.Getpagesize(), err
}

func tinyReasoner(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("../../testdata/tiny-reasoner/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	return data
}
