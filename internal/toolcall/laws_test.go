package toolcall

import (
	"encoding/json"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fold joins neighbouring pieces of a kind.
func fold(pieces []Piece) []Piece {
	var out []Piece
	for _, p := range pieces {
		if n := len(out); n > 0 && out[n-1].Kind == p.Kind && (p.Kind == Arguments || p.Kind == Content && out[n-1].End == p.Start) {
			out[n-1].Text += p.Text
			out[n-1].End = p.End
			continue
		}
		out = append(out, p)
	}
	return out
}

func parseCut(d *Descriptor, text string, cuts ...int) []Piece {
	p := d.New(ReadTools(json.RawMessage(testTools)))
	var out []Piece
	at := 0
	for _, c := range append(cuts, len(text)) {
		out = p.Feed(out, text[at:c])
		at = c
	}
	return fold(p.Close(out))
}

// check holds the laws of one answer.
func check(t testing.TB, d *Descriptor, text string, pieces []Piece) {
	t.Helper()
	end, open, args := 0, false, ""
	for _, p := range pieces {
		switch p.Kind {
		case Content:
			if open || p.Start < end || p.Text != text[p.Start:p.End] || p.Text == "" {
				t.Fatalf("%s: %q: content %+v after offset %d, within a call: %v", d.Name, text, p, end, open)
			}
			end = p.End
		case Begin:
			if open || p.Text == "" {
				t.Fatalf("%s: %q: call %q begins within another: %v", d.Name, text, p.Text, open)
			}
			open, args = true, ""
		case Arguments:
			if !open {
				t.Fatalf("%s: %q: arguments without a call", d.Name, text)
			}
			args += p.Text
		case End:
			if !open {
				t.Fatalf("%s: %q: an end without a call", d.Name, text)
			}
			open = false
		}
	}
	if open {
		t.Fatalf("%s: %q: a call without an end", d.Name, text)
	}
	if len(pieces) > 0 && !slices.ContainsFunc(pieces, func(p Piece) bool { return p.Kind == Begin }) {
		// No call: all is content but markers around blocks, and white space by them.
		content := ""
		for _, p := range pieces {
			content += p.Text
		}
		if strip(d, content) != strip(d, text) {
			t.Fatalf("%s: %q: without a call the content is %q", d.Name, text, content)
		}
	}
}

// strip removes what a parser may drop without a call: markers that mean nothing
// alone, and white space.
func strip(d *Descriptor, text string) string {
	for _, s := range []string{"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|python_end|>"} {
		text = strings.ReplaceAll(text, s, "")
	}
	return strings.Join(strings.Fields(text), "")
}

func TestTheCutDoesNotMatter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range goldenCases(t) {
		d, err := Lookup(c.Parser)
		if err != nil {
			t.Fatal(err)
		}
		whole := parseCut(d, c.Text)
		check(t, d, c.Text, whole)
		try := func(cuts ...int) {
			if got := parseCut(d, c.Text, cuts...); !slices.Equal(got, whole) {
				t.Fatalf("%s/%s cut at %v: %+v, whole: %+v", c.Parser, c.Name, cuts, got, whole)
			}
		}
		var each []int
		for i := 1; i < len(c.Text); i++ {
			try(i)
			each = append(each, i)
		}
		try(each...)
		for range 20 {
			var cuts []int
			for i := 1; i < len(c.Text); i++ {
				if rng.IntN(4) == 0 {
					cuts = append(cuts, i)
				}
			}
			try(cuts...)
		}
	}
}

// Cut short anywhere, an answer keeps the laws, and the calls that were whole.
func TestAnswersCutShort(t *testing.T) {
	for _, c := range goldenCases(t) {
		d, _ := Lookup(c.Parser)
		for i := range c.Text {
			check(t, d, c.Text[:i], parseCut(d, c.Text[:i]))
		}
	}
}

// A call is announced as soon as its arguments begin, and they come as they are
// written.
func TestCallsAreAnnouncedEarly(t *testing.T) {
	for parser, text := range map[string]string{
		"hermes":       `<tool_call>{"name": "get_weather", "arguments": {"loca`,
		"qwen3-coder":  "<tool_call>\n<function=get_weather>\n<parameter=location>\nZür",
		"deepseek-v31": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"loca",
		"kimi-k2":      "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{\"loca",
		"mistral":      `[TOOL_CALLS]get_weather[ARGS]{"loca`,
		"llama3-json":  `{"name": "get_weather", "parameters": {"loca`,
		"glm45":        "<tool_call>get_weather\n<arg_key>location</arg_key>\n<arg_value>Zür",
		"minimax-m2":   "<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter name=\"location\">Zür",
		"minimax-m3":   "]<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name=\"get_weather\">]<]minimax[>[<location>Zür",
		"seed-oss":     "<seed:tool_call>\n<function=get_weather>\n<parameter=location>Zür",
		"deepseek-v32": "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"get_weather\">\n<｜DSML｜parameter name=\"location\" string=\"true\">Zür",
		"gemma":        `<|tool_call>call:get_weather{days:3,loca`,
		"pythonic":     `[get_weather(days=3, loca`,
		"granite":      `<|tool_call|>[{"name": "get_weather", "arguments": {"loca`,
		"phi4":         `functools[{"name": "get_weather", "arguments": {"loca`,
	} {
		d, err := Lookup(parser)
		if err != nil {
			t.Fatal(err)
		}
		pieces := fold(d.New(ReadTools(json.RawMessage(testTools))).Feed(nil, text))
		if len(pieces) < 2 || pieces[0].Kind != Begin || pieces[0].Text != "get_weather" ||
			pieces[1].Kind != Arguments || len(pieces[1].Text) < 5 {
			t.Errorf("%s: after %q only %+v", parser, text, pieces)
		}
	}
}

// cpuTime is what the process has used of the machine's cores so far: a time
// that a busy machine does not stretch.
func cpuTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestWorkIsLinear(t *testing.T) {
	for _, name := range Names() {
		d, _ := Lookup(name)
		opener := "["
		if len(d.Opens) > 0 {
			opener = d.Opens[0]
		}
		for _, unit := range []string{opener, opener + "x", opener + `{"name": "`, "<", "{", "[", "<tool_call>\n<function=f>\n<parameter=a>\n", `<|tool_call>call:f{a:<|"|>`,
			`]<]minimax[>[<tool_call>]<]minimax[>[<invoke name="f">]<]minimax[>[<a>]<]minimax[>[<b>]<]minimax[>[</b>]<]minimax[>[</a>`} {
			took := func(n int, step int) time.Duration {
				text := strings.Repeat(unit, n/len(unit))
				start := cpuTime(t)
				p := d.New(nil)
				var out []Piece
				for at := 0; at < len(text); at += step {
					out = p.Feed(out[:0], text[at:min(at+step, len(text))])
				}
				p.Close(out)
				return cpuTime(t) - start
			}
			for _, step := range []int{7, 1 << 20} {
				// Quadratic work takes seconds here, linear work some hundredths of
				// one; the best of three tries, as memory is cleared beside them.
				small, large := took(1<<15, step), took(1<<18, step)
				for try := 1; try < 3 && large > 20*small+300*time.Millisecond; try++ {
					small, large = max(small, took(1<<15, step)), min(large, took(1<<18, step))
				}
				if large > 20*small+300*time.Millisecond {
					t.Errorf("%s: %q, %d bytes a time: 32 kB take %v, 256 kB %v", name, unit, step, small, large)
				}
			}
		}
	}
}

// Putting a call together takes memory in proportion to it, however many pieces
// its arguments come in.
func TestCallsArePutTogetherInProportion(t *testing.T) {
	for parser, text := range map[string]string{
		"qwen3-coder": "<tool_call>\n<function=f>\n" + strings.Repeat("<parameter=a>\n1\n</parameter>\n", 5000) + "</function>\n</tool_call>",
		"minimax-m3":  `]<]minimax[>[<tool_call>]<]minimax[>[<invoke name="f">` + strings.Repeat("]<]minimax[>[<a>1]<]minimax[>[</a>", 5000) + "]<]minimax[>[</invoke>",
	} {
		d, err := Lookup(parser)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, calls := Parse(d, nil, text)
		runtime.ReadMemStats(&after)
		if len(calls) != 1 || strings.Count(calls[0].Arguments, "1") != 5000 {
			t.Fatalf("%s: %.200q", parser, calls)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 60*uint64(len(text)) {
			t.Errorf("%s: %d kB for %d kB", parser, used>>10, len(text)>>10)
		}
	}
}

func FuzzCalls(f *testing.F) {
	names := Names()
	for _, c := range goldenCases(f) {
		d, _ := Lookup(c.Parser)
		f.Add(uint8(slices.Index(names, d.Name)), c.Text, uint16(7))
	}
	f.Fuzz(func(t *testing.T, which uint8, text string, cut uint16) {
		d, _ := Lookup(names[int(which)%len(names)])
		whole := parseCut(d, text)
		check(t, d, text, whole)
		if len(text) == 0 {
			return
		}
		at := int(cut) % len(text)
		if got := parseCut(d, text, at); !slices.Equal(got, whole) {
			t.Fatalf("%s: %q cut at %d: %+v, whole %+v", d.Name, text, at, got, whole)
		}
		var each []int
		for i := 1; i < len(text); i++ {
			each = append(each, i)
		}
		if got := parseCut(d, text, each...); !slices.Equal(got, whole) {
			t.Fatalf("%s: %q byte by byte: %+v, whole %+v", d.Name, text, got, whole)
		}
	})
}
