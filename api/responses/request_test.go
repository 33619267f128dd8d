package responses

import (
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/reasond/reasond/api/openai"
)

// chat decodes a body into its chat request.
func chat(t *testing.T, body string, history ...Item) *openai.ChatRequest {
	t.Helper()
	r, err := Decode([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	wire, err := r.Chat(history)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return wire
}

const (
	user    = `{"type":"message","role":"user","content":[{"type":"input_text","text":"q"}]}`
	thought = `{"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"t"}],"encrypted_content":null,"status":"completed"}`
	said    = `{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"a","annotations":[],"logprobs":[]}]}`
	called  = `{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{\"x\":1}","status":"completed"}`
	called2 = `{"type":"function_call","call_id":"c2","name":"g","arguments":"{}"}`
	result  = `{"type":"function_call_output","call_id":"c1","output":"r"}`
	result2 = `{"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"r"},{"type":"input_text","text":"2"}]}`
)

// Items become the messages that a template takes: what an assistant thought,
// said and called between others' items is one message.
func TestItemsBecomeMessages(t *testing.T) {
	const call1 = `{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}`
	const call2 = `{"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}`
	for _, c := range []struct{ input, want string }{
		{`"hello"`, `[{"role":"user","content":"hello"}]`},
		{`[{"role":"user","content":"q"}]`, `[{"role":"user","content":"q"}]`},
		{`[{"role":"developer","content":"d"},{"role":"system","content":"s"},` + user + `]`, `[{"role":"developer","content":"d"},{"role":"system","content":"s"},{"role":"user","content":"q"}]`},
		{`[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"text","text":"b"}]}]`, `[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]`},
		{`[` + user + `,` + said + `,` + user + `]`, `[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"q"}]`},
		{`[` + user + `,` + thought + `,` + said + `]`, `[{"role":"user","content":"q"},{"role":"assistant","content":"a","reasoning_content":"t"}]`},
		{`[` + user + `,` + thought + `,` + called + `,` + result + `]`,
			`[{"role":"user","content":"q"},{"role":"assistant","reasoning_content":"t","tool_calls":[` + call1 + `]},{"role":"tool","content":"r","tool_call_id":"c1"}]`},
		{`[` + user + `,` + thought + `,` + said + `,` + called + `,` + called2 + `,` + result + `,` + result2 + `,` + thought + `,` + said + `]`,
			`[{"role":"user","content":"q"},{"role":"assistant","content":"a","reasoning_content":"t","tool_calls":[` + call1 + `,` + call2 + `]},` +
				`{"role":"tool","content":"r","tool_call_id":"c1"},{"role":"tool","content":"r2","tool_call_id":"c2"},{"role":"assistant","content":"a","reasoning_content":"t"}]`},
		// Calls made in turns with thoughts and words wait for their results together.
		{`[` + user + `,` + thought + `,` + called + `,` + thought + `,` + said + `,` + called2 + `,` + result + `,` + result2 + `]`,
			`[{"role":"user","content":"q"},{"role":"assistant","content":"a","reasoning_content":"tt","tool_calls":[` + call1 + `,` + call2 + `]},` +
				`{"role":"tool","content":"r","tool_call_id":"c1"},{"role":"tool","content":"r2","tool_call_id":"c2"}]`},
		{`[` + user + `,` + said + `,` + said + `]`, `[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"assistant","content":"a"}]`},
		{`[` + user + `,` + said + `,` + thought + `,` + said + `]`, `[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"assistant","content":"a","reasoning_content":"t"}]`},
		// A thought of which only a summary is known; and one of which nothing is.
		{`[` + user + `,{"type":"reasoning","summary":[{"type":"summary_text","text":"s"}]},` + said + `]`, `[{"role":"user","content":"q"},{"role":"assistant","content":"a","reasoning_content":"s"}]`},
		{`[` + user + `,{"type":"reasoning","summary":[],"encrypted_content":"gAAA"},` + said + `]`, `[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]`},
		{`[` + user + `,{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}]`, `[{"role":"user","content":"q"},{"role":"assistant","content":"no"}]`},
	} {
		var got, want any
		if json.Unmarshal(chat(t, `{"input":`+c.input+`}`).Messages, &got) != nil || json.Unmarshal([]byte(c.want), &want) != nil {
			t.Fatal(c)
		}
		a, _ := json.Marshal(got)
		if b, _ := json.Marshal(want); string(a) != string(b) {
			t.Errorf("%s\ngot  %s\nwant %s", c.input, a, b)
		}
	}
}

// An item that was written can be sent back, and means the same.
func TestItemsSurviveTheWay(t *testing.T) {
	for _, item := range []string{user, thought, said, called, called2, result, result2} {
		first, err := Decode([]byte(`{"input":[` + item + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(first.Input)
		if err != nil {
			t.Fatal(err)
		}
		second, err := Decode([]byte(`{"input":` + string(text) + `}`))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if again, _ := json.Marshal(second.Input); string(again) != string(text) {
			t.Errorf("%s has become %s", text, again)
		}
	}
}

func TestAConversationGoesOn(t *testing.T) {
	earlier, err := Decode([]byte(`{"input":[` + user + `,` + said + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	got := string(chat(t, `{"instructions":"i","input":"more","previous_response_id":"resp_1"}`, earlier.Input...).Messages)
	if want := `[{"role":"system","content":"i"},{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"more"}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMembersBecomeTheChats(t *testing.T) {
	wire := chat(t, `{"input":"a","model":"m","max_output_tokens":7,"temperature":0.5,"top_p":0.25,"stream":true,"stream_options":{"include_obfuscation":false},
		"parallel_tool_calls":false,"tools":[{"type":"function","name":"f","description":"d","parameters":{"b":1,"a":2},"strict":true}],"tool_choice":{"type":"function","name":"f"},
		"reasoning":{"effort":"low","summary":"auto"},"text":{"format":{"type":"text"},"verbosity":"medium"},"include":["reasoning.encrypted_content","message.output_text.logprobs"],
		"top_logprobs":3,"store":false,"metadata":{"k":"v"},"user":"u","truncation":"disabled","background":false,"service_tier":"auto","prompt_cache_key":"p","safety_identifier":"s"}`)
	if wire.Model != "m" || *wire.MaxTokens != 7 || *wire.Temperature != 0.5 || *wire.TopP != 0.25 || !wire.Stream || !wire.OneCall || wire.ToolChoice.Name != "f" ||
		wire.ReasoningEffort != "low" || !wire.Logprobs || *wire.TopLogprobs != 3 {
		t.Errorf("%+v", wire)
	}
	if want := `[{"type":"function","function":{"name":"f","description":"d","parameters":{"b":1,"a":2},"strict":true}}]`; string(wire.Tools) != want {
		t.Errorf("tools: %s", wire.Tools)
	}
	wire = chat(t, `{"input":"a","text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"object"}}},"tool_choice":"none","tools":[]}`)
	if wire.Grammar == nil || wire.Grammar.Kind != openai.GrammarSchema || wire.Grammar.Source != `{"type":"object"}` {
		t.Errorf("the format: %+v", wire.Grammar)
	}
	if wire = chat(t, `{"input":"a","text":{"format":{"type":"json_object"}},"reasoning":{"effort":"none"}}`); wire.Grammar == nil || wire.Thinking == nil || *wire.Thinking {
		t.Errorf("%+v", wire)
	}
}

// What is wrong is said with its name.
func TestWhatIsWrongIsNamed(t *testing.T) {
	for _, c := range []struct{ members, param, code string }{
		{``, "input", openai.CodeMissing},
		{`"input":3`, "input", openai.CodeInvalidValue},
		{`"input":[]`, "input", openai.CodeInvalidValue},
		{`"input":[3]`, "input[0]", openai.CodeInvalidValue},
		{`"input":[{}]`, "input[0].type", openai.CodeMissing},
		{`"input":[{"type":"message","role":"user"}]`, "input[0].content", openai.CodeMissing},
		{`"input":[{"type":"message","content":"a"}]`, "input[0].role", openai.CodeInvalidValue},
		{`"input":[{"role":"tool","content":"a"}]`, "input[0].role", openai.CodeInvalidValue},
		{`"input":[{"role":"user","content":[{"type":"input_image","image_url":"x"}]}]`, "input[0].content[0].type", openai.CodeUnsupported},
		{`"input":[{"role":"user","content":[{"type":"input_text"}]}]`, "input[0].content[0].text", openai.CodeMissing},
		{`"input":[{"role":"user","content":[{"type":"input_text","text":"a","x":1}]}]`, "input[0].content[0].x", openai.CodeUnknown},
		{`"input":[{"role":"user","content":"a","x":1}]`, "input[0].x", openai.CodeUnknown},
		{`"input":[{"type":"computer_call","action":{}}]`, "input[0].type", openai.CodeUnsupported},
		{`"input":[{"type":"function_call","name":"f","arguments":"{}"}]`, "input[0].call_id", openai.CodeMissing},
		{`"input":[{"type":"function_call","call_id":"c","name":"f"}]`, "input[0].arguments", openai.CodeMissing},
		{`"input":[{"type":"function_call_output","call_id":"c"}]`, "input[0].output", openai.CodeMissing},
		{`"input":[{"type":"item_reference"}]`, "input[0].id", openai.CodeMissing},
		{`"input":"a","background":true`, "background", openai.CodeUnsupported},
		{`"input":"a","conversation":"c"`, "conversation", openai.CodeUnsupported},
		{`"input":"a","prompt":{}`, "prompt", openai.CodeUnsupported},
		{`"input":"a","moderation":{}`, "moderation", openai.CodeUnsupported},
		{`"input":"a","n":2`, "n", openai.CodeUnknown},
		{`"input":"a","messages":[]`, "messages", openai.CodeUnknown},
		{`"input":"a","what":1`, "what", openai.CodeUnknown},
		{`"input":"a","truncation":"maybe"`, "truncation", openai.CodeInvalidValue},
		{`"input":"a","include":["all"]`, "include", openai.CodeInvalidValue},
		{`"input":"a","metadata":{"a":1}`, "metadata", openai.CodeInvalidValue},
		{`"input":"a","metadata":{"a":"` + strings.Repeat("x", 513) + `"}`, "metadata", openai.CodeInvalidValue},
		{`"input":"a","max_output_tokens":0`, "max_output_tokens", openai.CodeInvalidValue},
		{`"input":"a","temperature":3`, "temperature", openai.CodeInvalidValue},
		{`"input":"a","tools":[{"type":"web_search"}]`, "tools[0].type", openai.CodeUnsupported},
		{`"input":"a","tools":[{"type":"web_search","filters":{}}]`, "tools[0].type", openai.CodeUnsupported},
		{`"input":"a","tools":[{"type":"function"}]`, "tools[0].name", openai.CodeMissing},
		{`"input":"a","tools":[{"name":"f"}]`, "tools[0].type", openai.CodeMissing},
		{`"input":"a","tool_choice":"required"`, "tool_choice", openai.CodeInvalidValue},
		{`"input":"a","tool_choice":{"type":"allowed_tools","mode":"auto","tools":[]}`, "tool_choice.tools", openai.CodeInvalidValue},
		{`"input":"a","tool_choice":{"type":"mcp","server_label":"s"}`, "tool_choice.type", openai.CodeUnsupported},
		{`"input":"a","reasoning":{"effort":"huge"}`, "reasoning.effort", openai.CodeInvalidValue},
		{`"input":"a","reasoning":{"summary":"long"}`, "reasoning.summary", openai.CodeInvalidValue},
		{`"input":"a","reasoning":{"x":1}`, "reasoning.x", openai.CodeUnknown},
		{`"input":"a","text":{"verbosity":"low"}`, "text.verbosity", openai.CodeUnsupported},
		{`"input":"a","text":{"format":{"type":"json_schema","name":"n"}}`, "text.format.schema", openai.CodeMissing},
		{`"input":"a","text":{"format":{"type":"xml"}}`, "text.format.type", openai.CodeInvalidValue},
		{`"input":"a","text":{"format":{"type":"json_schema","schema":3}}`, "text.format.schema", openai.CodeInvalidValue},
	} {
		r, err := Decode([]byte("{" + c.members + "}"))
		if err == nil {
			_, err = r.Chat(nil)
		}
		var e *openai.Error
		if !errors.As(err, &e) || e.Param != c.param || e.Code != c.code {
			t.Errorf("{%s}: %#v, want %s %s", c.members, err, c.code, c.param)
		}
	}
}

func TestReferencesAreResolvedOrNamed(t *testing.T) {
	r, err := Decode([]byte(`{"input":[{"type":"item_reference","id":"msg_1"},{"type":"item_reference","id":"msg_2"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	known := Item{Type: TypeMessage, ID: "msg_1", Role: "user", Parts: []Part{{Type: "input_text", Text: "a"}}}
	err = r.Resolve(func(id string) (Item, bool) { return known, id == "msg_1" })
	var e *openai.Error
	if !errors.As(err, &e) || e.Param != "input[1].id" || r.Input[0].text() != "a" {
		t.Errorf("%v, %+v", err, r.Input)
	}
}

// Whatever a body is, it becomes a chat or an error with a message; an item that
// is accepted can be written and read again.
func FuzzDecode(f *testing.F) {
	f.Add(`{"input":[` + strings.Join([]string{user, thought, said, called, result}, ",") + `],"tools":[{"type":"function","name":"f","parameters":{}}]}`)
	f.Add(`{"input":"a","reasoning":{"effort":"low","temperature":0.5},"text":{"format":{"type":"json_schema","schema":{}}},"metadata":{"a":"b"}}`)
	f.Add(`{"input":[{"role":"user","content":[]},{"type":"item_reference","id":"x"}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		r, err := Decode([]byte(body))
		if err == nil {
			if err = r.Resolve(func(string) (Item, bool) { return Item{}, false }); err == nil {
				_, err = r.Chat(r.Input)
			}
		}
		var e *openai.Error
		if err != nil && (!errors.As(err, &e) || e.Message == "") {
			t.Fatalf("%q: %#v", body, err)
		}
		if err != nil {
			return
		}
		text, err := json.Marshal(r.Input)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode([]byte(`{"input":` + string(text) + `}`)); err != nil {
			t.Fatalf("%q: its items %s: %v", body, text, err)
		}
	})
}

// Reading takes memory in proportion to the body, however many parts and items
// its texts are cut into.
func TestTextInManyPiecesIsReadInProportion(t *testing.T) {
	const pieces = 8000
	x := strings.Repeat("x", 100)
	list := func(one string) string { return strings.Repeat(one+",", pieces-1) + one }
	call := `{"type":"function_call","call_id":"a","name":"f","arguments":"{}"},`
	for name, input := range map[string]string{
		"output":  `[` + call + `{"type":"function_call_output","call_id":"a","output":[` + list(`{"type":"input_text","text":"`+x+`"}`) + `]}]`,
		"answers": `[` + call + list(`{"role":"assistant","content":"`+x+`"}`) + `]`,
		"thought": `[` + list(`{"type":"reasoning","content":[{"type":"reasoning_text","text":"`+x+`"}]}`) + `]`,
	} {
		body := []byte(`{"input":` + input + `}`)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		wire, err := r.Chat(nil)
		runtime.ReadMemStats(&after)
		if err != nil || strings.Count(string(wire.Messages), "x") != 100*pieces {
			t.Fatalf("%s: %v", name, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 60*uint64(len(body)) {
			t.Errorf("%s: %d kB for %d kB", name, used>>10, len(body)>>10)
		}
	}
}
