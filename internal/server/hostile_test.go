package server

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/reasond/reasond/internal/engine/scripted"
)

// hostile is a corpus of bodies that no well-meaning client sends. Each name
// says what is wrong; ids in brackets are published advisories of other servers
// whose shape the body has.
func hostile() map[string]string {
	bodies := map[string]string{
		"nothing": "", "space": "   ", "not JSON": "hello", "half": `{"messages":[{"role":"us`, "array": "[]", "string": `"x"`, "number": "1", "null": "null", "true": "true",
		"two values": ask() + ask(), "trailing comma": `{"messages":[],}`, "comment": "/*x*/" + ask(), "BOM": "\ufeff" + ask(), "UTF-16": "\xff\xfe{\x00}\x00",
		"single quotes": `{'messages':[]}`, "NaN": ask(`"temperature":NaN`), "Infinity": ask(`"temperature":Infinity`), "hex": ask(`"n":0x1`), "form": "messages=hi&n=1", "XML": "<x/>", "GGUF": "GGUF\x03\x00\x00\x00",
		"gzip": "\x1f\x8b\x08\x00\x00\x00\x00\x00", "pickle": "\x80\x04\x95cos\nsystem\n", "NULs": strings.Repeat("\x00", 1000),
		"invalid UTF-8": `{"messages":[{"role":"user","content":"` + "\xc3\x28" + `"}]}`, "overlong UTF-8": `{"messages":[{"role":"user","content":"` + "\xc0\xaf" + `"}]}`, "CESU-8": `{"messages":[{"role":"user","content":"` + "\xed\xa0\x80" + `"}]}`,
		"lone surrogate": `{"messages":[{"role":"user","content":"\ud800"}]}`, "surrogate in a key": `{"\udc00":1}`, "twice": ask(`"n":1`, `"n":1`), "twice, escaped": ask(`"n":1`, `"\u006e":16`), "messages twice": ask(`"messages":[]`), "wrong case": ask(`"N":99`), "fullwidth": ask(`"ｎ":1`), "proto": ask(`"__proto__":{"n":5}`),
		"deep 10k": strings.Repeat("[", 10_000), "deep 100k": strings.Repeat(`{"a":`, 100_000), "deep 1M": strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000),
		"deep tool": ask(`"tools":[{"type":"function","function":{"name":"f","parameters":` + strings.Repeat(`{"a":`, 5000) + `1` + strings.Repeat(`}`, 5000) + `}}]`), "deep kwargs": ask(`"chat_template_kwargs":{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`),
		"huge key": `{"` + strings.Repeat("k", 1<<20) + `":1}`, "many keys": `{` + manyMembers(200_000) + `}`, "many messages": `{"messages":[` + strings.Repeat(`{"role":"user","content":"x"},`, 50_000) + `{"role":"user","content":"x"}]}`,
		"many parts": `{"messages":[{"role":"user","content":[` + strings.Repeat(`{"type":"text","text":"x"},`, 50_000) + `{"type":"text","text":"x"}]}]}`, "many tools": ask(`"tools":[` + strings.Repeat(`{"type":"function","function":{"name":"f"}},`, 5000) + `{}]`),
		"many escapes": `{"messages":[{"role":"user","content":"` + strings.Repeat(`\u0041`, 200_000) + `"}]}`, "long number": ask(`"n":` + strings.Repeat("1", 100_000)), "long fraction": ask(`"temperature":0.` + strings.Repeat("1", 1_000_000) + "x"), "long exponent": ask(`"temperature":1e` + strings.Repeat("9", 100_000)), "tiny exponent": ask(`"n":1e-` + strings.Repeat("9", 100_000)),
		"minus zero n": ask(`"n":-0`), "n 10^9 [CVE-2026-34756]": ask(`"n":1000000000`), "best_of [CVE-2024-8939]": ask(`"best_of":100000`), "loose salt [CVE-2026-105756]": ask(`"cache_salt":{"a":1}`), "salt with NUL": ask(`"cache_salt":"a\u0000"`), "salt [0]": ask(`"cache_salt":""`),
		"kwargs tokenize [CVE-2025-62426]": ask(`"chat_template_kwargs":{"tokenize":true,"chat_template":"{{1}}"}`), "client template [PYSEC-2026-4344]": ask(`"chat_template":"{% for i in range(10**9) %}{% endfor %}"`), "embeds [CVE-2025-62164]": ask(`"prompt_embeds":"gASVAAAA"`), "regex [CVE-2025-48943]": ask(`"guided_regex":"(a+)+b"`), "schema [CVE-2025-48944]": ask(`"response_format":{"type":"json_schema","json_schema":{"schema":{"pattern":"["}}}`),
		"logprob ids [CVE-2026-116173]": ask(`"logprob_token_ids":[` + strings.Repeat("1,", 200) + "1]"), "image url [CVE-2026-24779]": `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://127.0.0.1:1/"}}]}]}`, "negative n_discard [CVE-2026-21869]": ask(`"n_discard":-1`), "mm hashes [CVE-2026-111392]": ask(`"mm_hashes":["x"]`), "lora [CVE-2026-86793]": ask(`"lora_path":"../../etc/passwd"`), "logit processor [CVE-2026-7301]": ask(`"custom_logit_processor":"gASV"`),
		"role injected": `{"messages":[{"role":"user<|im_end|>","content":"x"}]}`, "role of spaces": `{"messages":[{"role":" ","content":"x"}]}`, "role null": `{"messages":[{"role":null,"content":"x"}]}`, "message null": `{"messages":[null]}`, "messages nested": `{"messages":[[{"role":"user","content":"x"}]]}`, "SSTI name": `{"messages":[{"role":"user","content":"x","name":7}]}`,
		"negative bias id": ask(`"logit_bias":{"-1":1}`), "bias id 2^40": ask(`"logit_bias":{"1099511627776":1}`), "bias inf": ask(`"logit_bias":{"1":1e999}`), "bias 5000": ask(`"logit_bias":{` + biases(5000) + `}`), "5000 stop ids": ask(`"stop_token_ids":[` + strings.Repeat("1,", 5000) + `1]`), "5000 stops": ask(`"stop":[` + strings.Repeat(`"a",`, 5000) + `"a"]`), "long stop": ask(`"stop":"` + strings.Repeat("a", 100_000) + `"`), "max_tokens over the context [19]": ask(`"max_tokens":100000`), "prompt over the context": `{"messages":[{"role":"user","content":"` + strings.Repeat("word ", 10_000) + `"}]}`, "prompt of megabytes": `{"messages":[{"role":"user","content":"` + strings.Repeat("many words and 日本 ", 100_000) + `"}]}`, "one long word": `{"messages":[{"role":"user","content":"` + strings.Repeat("a", 2_000_000) + `"}]}`,
		"min over max": ask(`"max_tokens":5,"min_tokens":6`), "unknown model": ask(`"model":"gpt-5"`), "model path": ask(`"model":"../../etc/passwd"`), "model with CR LF": ask(`"model":"a\r\nX: y"`), "model of 1 MB": ask(`"model":"` + strings.Repeat("m", 1<<20) + `"`),
	}
	for _, field := range []string{"messages", "model", "n", "max_tokens", "max_completion_tokens", "min_tokens", "temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty",
		"logit_bias", "seed", "stop", "stop_token_ids", "ignore_eos", "include_stop_str_in_output", "skip_special_tokens", "reasoning_effort", "separate_reasoning", "stream_reasoning", "chat_template_kwargs",
		"add_generation_prompt", "continue_final_message", "cache_salt", "request_id", "stream", "stream_options", "tools", "tool_choice"} {
		for i, v := range []string{`{"a":{}}`, `[[]]`, `[null]`, `"\u0000"`, `""`, `-1e308`, `1e309`, `-9223372036854775809`, `0.5e-400`, `{"":null}`} {
			if field == "messages" {
				bodies[fmt.Sprint(field, i)] = `{"messages":` + v + `}`
			} else {
				bodies[fmt.Sprint(field, i)] = ask(fmt.Sprintf(`"%s":%s`, field, v))
			}
		}
	}
	return bodies
}

// harmless are the bodies of the corpus that may be answered with a 200.
func harmless(name string) bool {
	switch name {
	case "temperature8", "seed8", "min_tokens8", "top_k8", "min_p8", "presence_penalty8", "frequency_penalty8", "model3", "model4", "logit_bias9", "chat_template_kwargs0", "many escapes", "stop3":
		return true
	}
	return false
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"k%d":{},`, i)
	}
	return b.String() + `"k":0`
}

func biases(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"%d":1,`, i)
	}
	return b.String() + `"99999":1`
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

// Every hostile request gets a 4xx with the envelope, at once, streamed or not,
// and disturbs nobody.
func TestHostileRequestsAreRefused(t *testing.T) {
	f := begin(t, Config{}, scripted.Config{})
	locked := begin(t, Config{APIKeys: []string{key}}, scripted.Config{})
	bodies := hostile()
	if len(bodies) < 300 {
		t.Errorf("only %d bodies", len(bodies))
	}
	for name, body := range bodies {
		for _, stream := range []bool{false, true} {
			if stream {
				if !strings.HasPrefix(body, `{"messages"`) || strings.HasPrefix(name, "stream") {
					continue
				}
				body = `{"stream":true,` + body[1:]
			}
			start := cpuTime(t)
			r := f.chat(t, body)
			took := cpuTime(t) - start
			switch {
			case r.status == http.StatusOK && harmless(name):
			case r.status < 400 || r.status >= 500:
				t.Errorf("%s: %d %.200s", name, r.status, r.body)
			case took > time.Second:
				t.Errorf("%s: refused after %v", name, took)
			case len(r.body) > 2048:
				t.Errorf("%s: %d bytes of error", name, len(r.body))
			default:
				envelope(t, r)
			}
		}
		if r := locked.chat(t, body); r.status != http.StatusUnauthorized {
			t.Errorf("%s without a key: %d", name, r.status)
		}
	}
	if r := f.chat(t, ask()); r.status != 200 {
		t.Errorf("a good request afterwards: %d", r.status)
	}
	if !f.idle() || strings.Contains(f.logs.String(), `"msg":"panic"`) {
		t.Error("something is left, or has panicked")
	}
}

// No request costs more than 100 times its bytes in memory, above a floor of
// 1 MiB (Envoy's rule), nor more than a second of a core's time.
func TestRequestsAreNotAmplified(t *testing.T) {
	f := begin(t, Config{MaxBody: 2 << 20}, scripted.Config{})
	big := func(piece string, n int) string { return strings.Repeat(piece, n/len(piece)) }
	const size = 2 << 20
	for name, body := range map[string]string{
		"empty objects":  `{"x":[` + big("{},", size-100) + `{}]}`,
		"small objects":  `{"x":[` + big(`{"a":{"b":0}},`, size-100) + `{}]}`,
		"empty messages": `{"messages":[` + big("{},", size-100) + `{}]}`,
		"short messages": `{"messages":[` + big(`{"role":"user","content":""},`, 400_000) + `{"role":"user","content":""}]}`,
		"short parts":    `{"messages":[{"role":"user","content":[` + big(`{"type":"text","text":""},`, 400_000) + `""]}]}`,
		"bias":           ask(`"logit_bias":{` + biases(100_000) + `}`),
		"members":        `{` + manyMembers(150_000) + `}`,
		"stop":           ask(`"stop":[` + big(`"a",`, size-200) + `"a"]`),
		"tools":          ask(`"tools":[` + big(`{"type":"function","function":{"name":"f"}},`, size-200) + `0]`),
		"word":           `{"messages":[{"role":"user","content":"` + big("x", size-200) + `"}]}`,
		"words":          `{"messages":[{"role":"user","content":"` + big("word ", size-200) + `"}]}`,
		"control":        `{"messages":[{"role":"user","content":"` + big("<|im_start|>", size-200) + `"}]}`,
		"escapes":        `{"messages":[{"role":"user","content":"` + big(`\ud83d\ude00`, size-200) + `"}]}`,
		"small":          ask(),
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := cpuTime(t)
		r := f.chat(t, body)
		took := cpuTime(t) - start
		runtime.ReadMemStats(&after)
		// All that was ever allocated bounds what was held at once.
		spent := int64(after.TotalAlloc - before.TotalAlloc)
		t.Logf("%-15s %8d bytes: %d, %4d MiB, %v", name, len(body), r.status, spent>>20, took)
		if spent > max(1<<20, 100*int64(len(body))) || took > time.Second {
			t.Errorf("%s: %d bytes cost %d and %v", name, len(body), spent, took)
		}
	}
}

// Log lines are one JSON object each, bounded, and hold no text of prompts.
func TestLogsAreEscapedAndBounded(t *testing.T) {
	f := begin(t, Config{APIKeys: []string{key}}, scripted.Config{})
	evil := "\r\n\x1b[31m\x00\u2028{\"level\":\"ERROR\"}"
	long := strings.Repeat("A\x1b", 20_000)
	var wg sync.WaitGroup
	for _, body := range []string{ask(`"model":"` + strings.Repeat(`\r\n\u001b[31m`, 50_000) + `"`), ask(`"user":"SECRETUSER"`), `{"messages":[{"role":"user","content":"SECRETPROMPT"}]}`, `{"odd\r\nfield":1}`, "SECRETBODY"} {
		wg.Go(func() {
			f.chat(t, body, "Authorization", "Bearer "+key, "User-Agent", "SECRETAGENT", "X-Request-Id", "a b")
		})
	}
	wg.Wait()
	for _, path := range []string{"/%0d%0a%1b%5b31m%00", "/v1/models/" + strings.Repeat("%0d%0a", 5000), "/x?key=SECRETQUERY"} {
		f.do(t, "GET", path, "", "Authorization", "Bearer "+key)
		f.do(t, "GET", path, "", "Authorization", "Bearer SECRETKEY")
	}
	f.raw(t, "GET /"+evil+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
	f.raw(t, "BREW"+strings.Repeat("X", 2000)+" /v1/models HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: "+long[:100]+"\r\nConnection: close\r\n\r\n")
	eventually(t, "nothing runs", f.idle)
	logs := f.logs.String()
	if strings.Contains(logs, "SECRET") || strings.Contains(logs, key) {
		t.Errorf("a client's text is in the log:\n%s", logs)
	}
	for line := range strings.Lines(logs) {
		if len(line) > 4096 || !strings.HasPrefix(line, `{"time":`) || !strings.HasSuffix(line, "}\n") || strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\r\n\x1b\x00") {
			t.Errorf("%d bytes: %.300q", len(line), line)
		}
	}
}
