package openai

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

const hello = `"messages":[{"role":"user","content":"hi"}]`

const aTool = `,"tools":[{"type":"function","function":{"name":"f"}}]`

// requests are bodies with what is wrong with them: code and param, or neither.
var requests = []struct{ name, body, code, param string }{
	{"least", `{` + hello + `}`, "", ""},
	{"all", `{"model":"m",` + hello + `,"stream":true,"stream_options":{"include_usage":true},"n":3,"max_tokens":7,"min_tokens":2,
		"temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.1,"presence_penalty":-2,"frequency_penalty":2,"repetition_penalty":1.1,
		"logit_bias":{"5":-100},"seed":-1,"reasoning_logprobs":true,"return_token_ids":true,"logprobs":true,"top_logprobs":3,"stop":["a","b"],"stop_token_ids":[0,9],"ignore_eos":true,"include_stop_str_in_output":true,
		"skip_special_tokens":false,"parallel_tool_calls":false,"regex":"a","reasoning_grammar":"b","thinking_token_budget":9,"reasoning_effort":"high","separate_reasoning":false,"stream_reasoning":false,
		"chat_template_kwargs":{"enable_thinking":false},"cache_salt":"a-B_9","priority":-3,"request_id":"r.1"}`, "", ""},
	{"nulls", `{` + hello + `,"model":null,"n":null,"stop":null,"tools":null,"tool_choice":null,"temperature":null,"logit_bias":null,"stream_options":null,"response_format":null,"audio":null}`, "", ""},
	{"what clients always send", `{` + hello + `,"user":"u","metadata":{"a":"b"},"store":false,"logprobs":false,"top_logprobs":0,"response_format":{"type":"text"},
		"parallel_tool_calls":false,"tool_choice":"auto","functions":[],"modalities":["text"],"service_tier":"auto","best_of":1}`, "", ""},
	{"integers in other spellings", `{` + hello + `,"n":2.0,"max_tokens":1e2}`, "", ""},

	{"not an object", `[1]`, CodeInvalidJSON, ""},
	{"not JSON", `{"messages":`, CodeInvalidJSON, ""},
	{"a member twice", `{` + hello + `,"n":1,"n":2}`, CodeInvalidJSON, ""},
	{"another case", `{` + hello + `,"Temperature":1}`, CodeUnknown, "Temperature"},
	{"a typing error", `{` + hello + `,"max_tokns":1}`, CodeUnknown, "max_tokns"},

	{"no messages", `{}`, CodeMissing, "messages"},
	{"null messages", `{"messages":null}`, CodeMissing, "messages"},
	{"empty messages", `{"messages":[]}`, CodeInvalidValue, "messages"},
	{"messages a string", `{"messages":"hi"}`, CodeInvalidValue, "messages"},
	{"messages of strings", `{"messages":["hi"]}`, CodeInvalidValue, "messages[0]"},
	{"no role", `{"messages":[{"content":"x"}]}`, CodeMissing, "messages[0].role"},
	{"unknown role", `{"messages":[{"role":"root","content":"x"}]}`, CodeInvalidValue, "messages[0].role"},
	{"role a number", `{"messages":[{"role":1,"content":"x"}]}`, CodeInvalidValue, "messages[0].role"},
	{"function role", `{"messages":[{"role":"function","content":"x","name":"f"}]}`, CodeUnsupported, "messages[0].role"},
	{"no content", `{"messages":[{"role":"user"}]}`, CodeMissing, "messages[0].content"},
	{"null content", `{"messages":[{"role":"user","content":null}]}`, CodeMissing, "messages[0].content"},
	{"content a number", `{"messages":[{"role":"user","content":7}]}`, CodeInvalidValue, "messages[0].content"},
	{"content an object", `{"messages":[{"role":"user","content":{"type":"text","text":"x"}}]}`, CodeInvalidValue, "messages[0].content"},
	{"an image", `{"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"http://x"}}]}]}`, CodeUnsupported, "messages[0].content[1].type"},
	{"audio", `{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]}`, CodeUnsupported, "messages[0].content[0].type"},
	{"unknown part", `{"messages":[{"role":"user","content":[{"type":"smell"}]}]}`, CodeInvalidValue, "messages[0].content[0].type"},
	{"part without text", `{"messages":[{"role":"user","content":[{"type":"text"}]}]}`, CodeMissing, "messages[0].content[0].text"},
	{"part with null text", `{"messages":[{"role":"user","content":[{"type":"text","text":null}]}]}`, CodeInvalidValue, "messages[0].content[0].text"},
	{"unknown message member", `{"messages":[{"role":"user","content":"x","contents":"y"}]}`, CodeUnknown, "messages[0].contents"},
	{"tool without id", `{"messages":[{"role":"tool","content":"x"}]}`, CodeMissing, "messages[0].tool_call_id"},
	{"user with calls", `{"messages":[{"role":"user","content":"x","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}`, CodeInvalidValue, "messages[0].tool_calls"},
	{"call with an empty name", `{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"","arguments":"{}"}}]}]}`, CodeInvalidValue, "messages[0].tool_calls[0].function.name"},
	{"call with a long name", `{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"` + strings.Repeat("f", MaxNameBytes+1) + `"}}]}]}`, CodeInvalidValue, "messages[0].tool_calls[0].function.name"},
	{"call without name", `{"messages":[{"role":"assistant","tool_calls":[{"function":{"arguments":"{}"}}]}]}`, CodeMissing, "messages[0].tool_calls[0].function.name"},
	{"assistant with nothing", `{"messages":[{"role":"assistant","content":null}]}`, CodeMissing, "messages[0].content"},
	{"an answer sent back", `{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"reasoning_content":"r","reasoning":"r","tool_calls":null,"refusal":null,"audio":null,"function_call":null,"annotations":[]},{"role":"user","content":"y"}]}`, "", ""},

	{"n zero", `{` + hello + `,"n":0}`, CodeInvalidValue, "n"},
	{"n negative", `{` + hello + `,"n":-1}`, CodeInvalidValue, "n"},
	{"n 10^9", `{` + hello + `,"n":1000000000}`, CodeInvalidValue, "n"},
	{"n 1e400", `{` + hello + `,"n":1e400}`, CodeInvalidValue, "n"},
	{"n a fraction", `{` + hello + `,"n":1.5}`, CodeInvalidValue, "n"},
	{"n a string", `{` + hello + `,"n":"1"}`, CodeInvalidValue, "n"},
	{"n true", `{` + hello + `,"n":true}`, CodeInvalidValue, "n"},
	{"max_tokens 0", `{` + hello + `,"max_tokens":0}`, CodeInvalidValue, "max_tokens"},
	{"max_tokens 2^63", `{` + hello + `,"max_tokens":9223372036854775808}`, CodeInvalidValue, "max_tokens"},
	{"max_completion_tokens -1", `{` + hello + `,"max_completion_tokens":-1}`, CodeInvalidValue, "max_completion_tokens"},
	{"min over max", `{` + hello + `,"max_completion_tokens":3,"min_tokens":4}`, CodeInvalidValue, "min_tokens"},
	{"temperature high", `{` + hello + `,"temperature":2.1}`, CodeInvalidValue, "temperature"},
	{"temperature negative", `{` + hello + `,"temperature":-0.1}`, CodeInvalidValue, "temperature"},
	{"temperature 1e999", `{` + hello + `,"temperature":1e999}`, CodeInvalidValue, "temperature"},
	{"top_p 0", `{` + hello + `,"top_p":0}`, CodeInvalidValue, "top_p"},
	{"top_k -2", `{` + hello + `,"top_k":-2}`, CodeInvalidValue, "top_k"},
	{"min_p 2", `{` + hello + `,"min_p":2}`, CodeInvalidValue, "min_p"},
	{"repetition_penalty 0", `{` + hello + `,"repetition_penalty":0}`, CodeInvalidValue, "repetition_penalty"},
	{"presence_penalty 3", `{` + hello + `,"presence_penalty":3}`, CodeInvalidValue, "presence_penalty"},
	{"seed 2^64", `{` + hello + `,"seed":18446744073709551616}`, CodeInvalidValue, "seed"},
	{"bias beyond", `{` + hello + `,"logit_bias":{"1":101}}`, CodeInvalidValue, "logit_bias"},
	{"bias of a word", `{` + hello + `,"logit_bias":{"the":1}}`, CodeInvalidValue, "logit_bias"},
	{"bias twice", `{` + hello + `,"logit_bias":{"1":1,"01":1}}`, CodeInvalidValue, "logit_bias"},
	{"bias an array", `{` + hello + `,"logit_bias":[1]}`, CodeInvalidValue, "logit_bias"},
	{"empty stop", `{` + hello + `,"stop":""}`, CodeInvalidValue, "stop"},
	{"stop with an empty one", `{` + hello + `,"stop":["a",""]}`, CodeInvalidValue, "stop"},
	{"stop numbers", `{` + hello + `,"stop":[1]}`, CodeInvalidValue, "stop"},
	{"17 stops", `{` + hello + `,"stop":[` + strings.Repeat(`"a",`, 16) + `"a"]}`, CodeInvalidValue, "stop"},
	{"stop id negative", `{` + hello + `,"stop_token_ids":[-1]}`, CodeInvalidValue, "stop_token_ids"},
	{"stop id 2^31", `{` + hello + `,"stop_token_ids":[2147483648]}`, CodeInvalidValue, "stop_token_ids"},
	{"priority 2^31", `{` + hello + `,"priority":2147483648}`, CodeInvalidValue, "priority"},
	{"salt with a slash", `{` + hello + `,"cache_salt":"a/b"}`, CodeInvalidValue, "cache_salt"},
	{"empty salt", `{` + hello + `,"cache_salt":""}`, CodeInvalidValue, "cache_salt"},
	{"long salt", `{` + hello + `,"cache_salt":"` + strings.Repeat("a", 129) + `"}`, CodeInvalidValue, "cache_salt"},
	{"salt a number", `{` + hello + `,"cache_salt":5}`, CodeInvalidValue, "cache_salt"},
	{"stream a string", `{` + hello + `,"stream":"true"}`, CodeInvalidValue, "stream"},
	{"stream_options alone", `{` + hello + `,"stream_options":{"include_usage":true}}`, CodeInvalidValue, "stream_options"},
	{"unknown stream option", `{` + hello + `,"stream":true,"stream_options":{"usage":true}}`, CodeUnknown, "stream_options.usage"},
	{"continuous usage", `{` + hello + `,"stream":true,"stream_options":{"continuous_usage_stats":true}}`, CodeUnsupported, "stream_options.continuous_usage_stats"},
	{"effort", `{` + hello + `,"reasoning_effort":"heroic"}`, CodeInvalidValue, "reasoning_effort"},
	{"effort a number", `{` + hello + `,"reasoning_effort":3}`, CodeInvalidValue, "reasoning_effort"},
	{"kwargs an array", `{` + hello + `,"chat_template_kwargs":[]}`, CodeInvalidValue, "chat_template_kwargs"},
	{"kwargs over the messages", `{` + hello + `,"chat_template_kwargs":{"messages":[]}}`, CodeInvalidValue, "chat_template_kwargs.messages"},
	{"kwargs with a template", `{` + hello + `,"chat_template_kwargs":{"chat_template":"x"}}`, CodeInvalidValue, "chat_template_kwargs.chat_template"},
	{"kwargs with tokenize", `{` + hello + `,"chat_template_kwargs":{"tokenize":true}}`, CodeInvalidValue, "chat_template_kwargs.tokenize"},
	{"kwargs with an odd name", `{` + hello + `,"chat_template_kwargs":{"a b":1}}`, CodeInvalidValue, "chat_template_kwargs"},
	{"continue a user", `{` + hello + `,"continue_final_message":true}`, CodeInvalidValue, "continue_final_message"},
	{"continue and begin", `{"messages":[{"role":"assistant","content":"a"}],"continue_final_message":true,"add_generation_prompt":true}`, CodeInvalidValue, "continue_final_message"},
	{"continue", `{"messages":[{"role":"assistant","content":"a"}],"continue_final_message":true}`, "", ""},

	{"tools an object", `{` + hello + `,"tools":{}}`, CodeInvalidValue, "tools"},
	{"tool without type", `{` + hello + `,"tools":[{"function":{"name":"f"}}]}`, CodeMissing, "tools[0].type"},
	{"tool of another type", `{` + hello + `,"tools":[{"type":"custom","custom":{}}]}`, CodeUnsupported, "tools[0].type"},
	{"tool without function", `{` + hello + `,"tools":[{"type":"function"}]}`, CodeMissing, "tools[0].function"},
	{"function without name", `{` + hello + `,"tools":[{"type":"function","function":{}}]}`, CodeMissing, "tools[0].function.name"},
	{"parameters a string", `{` + hello + `,"tools":[{"type":"function","function":{"name":"f","parameters":"{}"}}]}`, CodeInvalidValue, "tools[0].function.parameters"},
	{"tool_choice required without tools", `{` + hello + `,"tool_choice":"required"}`, CodeInvalidValue, "tool_choice"},
	{"tool_choice named without tools", `{` + hello + `,"tool_choice":{"type":"function","function":{"name":"f"}}}`, CodeInvalidValue, "tool_choice"},
	{"tool_choice required", `{` + hello + aTool + `,"tool_choice":"required"}`, "", ""},
	{"tool_choice named", `{` + hello + aTool + `,"tool_choice":{"type":"function","function":{"name":"f"}}}`, "", ""},
	{"tool_choice without a name", `{` + hello + aTool + `,"tool_choice":{"type":"function"}}`, CodeMissing, "tool_choice.function.name"},
	{"tool_choice of another type", `{` + hello + aTool + `,"tool_choice":{"type":"custom","custom":{"name":"f"}}}`, CodeUnsupported, "tool_choice.type"},
	{"tool_choice without type", `{` + hello + aTool + `,"tool_choice":{}}`, CodeUnsupported, "tool_choice.type"},
	{"tool_choice with more", `{` + hello + aTool + `,"tool_choice":{"type":"function","function":{"name":"f"},"x":1}}`, CodeUnknown, "tool_choice.x"},
	{"allowed_tools", `{` + hello + aTool + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}}`, "", ""},
	{"allowed_tools required, flat", `{` + hello + aTool + `,"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"}]}}`, "", ""},
	{"allowed_tools without a mode", `{` + hello + aTool + `,"tool_choice":{"type":"allowed_tools"}}`, CodeMissing, "tool_choice.allowed_tools.mode"},
	{"allowed_tools without tools", `{` + hello + aTool + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto"}}}`, CodeMissing, "tool_choice.allowed_tools.tools"},
	{"allowed_tools of no tools", `{` + hello + aTool + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}}}`, CodeInvalidValue, "tool_choice.allowed_tools.tools"},
	{"allowed_tools of another mode", `{` + hello + aTool + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"none","tools":[]}}}`, CodeInvalidValue, "tool_choice.allowed_tools.mode"},
	{"allowed_tools of another type", `{` + hello + aTool + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"mcp"}]}}}`, CodeUnsupported, "tool_choice.allowed_tools.tools[0].type"},
	{"allowed_tools with more", `{` + hello + aTool + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[],"allowed_tools":{}}}}`, CodeInvalidValue, "tool_choice.allowed_tools.tools"},
	{"allowed_tools within", `{` + hello + aTool + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","allowed_tools":{}}}}`, CodeUnknown, "tool_choice.allowed_tools.allowed_tools"},
	{"allowed_tools without any", `{` + hello + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}}`, CodeInvalidValue, "tool_choice"},
	{"parallel calls", `{` + hello + `,"parallel_tool_calls":1}`, CodeInvalidValue, "parallel_tool_calls"},
	{"tool_choice other", `{` + hello + `,"tool_choice":"sometimes"}`, CodeInvalidValue, "tool_choice"},

	{"response_format", `{` + hello + `,"response_format":{"type":"json_object"}}`, "", ""},
	{"response_format schema", `{` + hello + `,"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{}}}}`, "", ""},
	{"response_format without type", `{` + hello + `,"response_format":{}}`, CodeMissing, "response_format.type"},
	{"response_format xml", `{` + hello + `,"response_format":{"type":"xml"}}`, CodeInvalidValue, "response_format.type"},
	{"response_format without schema", `{` + hello + `,"response_format":{"type":"json_schema"}}`, CodeMissing, "response_format.json_schema"},
	{"response_format schema a list", `{` + hello + `,"response_format":{"type":"json_schema","json_schema":{"schema":[]}}}`, CodeInvalidValue, "response_format.json_schema.schema"},
	{"two grammars", `{` + hello + `,"response_format":{"type":"json_object"},"regex":"a"}`, CodeInvalidValue, "regex"},
	{"regex a number", `{` + hello + `,"regex":1}`, CodeInvalidValue, "regex"},
	{"choice of numbers", `{` + hello + `,"guided_choice":["a",1]}`, CodeInvalidValue, "guided_choice[1]"},
	{"schema that is no JSON", `{` + hello + `,"json_schema":"{"}`, CodeInvalidValue, "json_schema"},
	{"thought's grammar", `{` + hello + `,"reasoning_regex":"a+"}`, "", ""},
	{"logprobs of another kind", `{` + hello + `,"logprobs":5}`, CodeInvalidValue, "logprobs"},
	{"reasoning_logprobs alone", `{` + hello + `,"reasoning_logprobs":true}`, CodeInvalidValue, "reasoning_logprobs"},
	{"prompt_logprobs", `{` + hello + `,"prompt_logprobs":0}`, "", ""},
	{"too many prompt_logprobs", `{` + hello + `,"prompt_logprobs":21}`, CodeInvalidValue, "prompt_logprobs"},
	{"prompt_logprobs of a stream", `{` + hello + `,"prompt_logprobs":1,"stream":true}`, CodeUnsupported, "prompt_logprobs"},
	{"top_logprobs alone", `{` + hello + `,"top_logprobs":5}`, CodeInvalidValue, "top_logprobs"},
	{"too many top_logprobs", `{` + hello + `,"logprobs":true,"top_logprobs":21}`, CodeInvalidValue, "top_logprobs"},
	{"best_of", `{` + hello + `,"best_of":2}`, CodeUnsupported, "best_of"},
	{"guided_json", `{` + hello + `,"guided_json":{}}`, "", ""},
	{"structured_outputs", `{` + hello + `,"structured_outputs":{"choice":["a"]}}`, "", ""},
	{"structured_outputs of a kind", `{` + hello + `,"structured_outputs":{"xml":1}}`, CodeUnknown, "structured_outputs.xml"},
	{"budget", `{` + hello + `,"thinking_token_budget":100,"reasoning_budget":-1}`, "", ""},
	{"budget a word", `{` + hello + `,"thinking_token_budget":"much"}`, CodeInvalidValue, "thinking_token_budget"},
	{"two budgets", `{` + hello + `,"thinking_token_budget":100,"thinking_budget":50}`, CodeInvalidValue, "thinking_budget"},
	{"nothing for the thought", `{` + hello + `,"max_tokens":8,"reserve_answer_tokens":8}`, CodeInvalidValue, "reserve_answer_tokens"},
	{"hot thought", `{` + hello + `,"reasoning":{"temperature":3}}`, CodeInvalidValue, "reasoning.temperature"},
	{"client template", `{` + hello + `,"chat_template":"{{ 1 }}"}`, CodeUnsupported, "chat_template"},
	{"audio output", `{` + hello + `,"modalities":["text","audio"]}`, CodeUnsupported, "modalities"},
	{"functions", `{` + hello + `,"functions":[{"name":"f"}]}`, CodeUnsupported, "functions"},
	{"lora", `{` + hello + `,"lora_path":"/etc/passwd"}`, CodeUnsupported, "lora_path"},
	{"n_discard", `{` + hello + `,"n_discard":-1}`, CodeUnknown, "n_discard"},
	{"mm_hashes", `{` + hello + `,"mm_hashes":["a"]}`, CodeUnknown, "mm_hashes"},
}

func TestDecodeChatSaysWhatIsWrong(t *testing.T) {
	for _, c := range requests {
		_, err := DecodeChat([]byte(c.body))
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{}
		}
		if e.Code != c.code || e.Param != c.param {
			t.Errorf("%s: code %q param %q (%v), want %q %q", c.name, e.Code, e.Param, err, c.code, c.param)
		}
		if err != nil && c.param != "" && !strings.Contains(e.Message, c.param) {
			t.Errorf("%s: %q does not name %s", c.name, e.Message, c.param)
		}
	}
}

func TestDecodeChatReadsEveryMember(t *testing.T) {
	req, err := DecodeChat([]byte(requests[1].body))
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.ValueOf(*req)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch name {
		case "Tools", "ToolChoice", "ContinueFinalMessage", "AdaptiveThinking", "RawContent", "DropReasoning", "PromptLogprobs": // exclude others
		case "SeparateReasoning", "StreamReasoning":
			if v.Field(i).Bool() {
				t.Errorf("%s is still true", name)
			}
		default:
			if v.Field(i).IsZero() {
				t.Errorf("%s was not read", name)
			}
		}
	}
	if *req.Seed != -1 || *req.MaxTokens != 7 || *req.TopK != 40 || req.LogitBias[5] != -100 || req.StopIDs[1] != 9 || !req.KeepSpecial {
		t.Errorf("read %+v", req)
	}
}

// Every member of a wrong type is refused under its own name: no decoder
// forgets to look.
func TestEveryMemberChecksItsType(t *testing.T) {
	for name := range chatFields {
		wrong := 0
		for _, v := range []string{`{"x":{}}`, `[[]]`, `"\u0000"`, `-7.5`, `true`} {
			_, err := DecodeChat([]byte(`{"messages":[{"role":"user","content":"hi"}],"` + name + `":` + v + `}`))
			if name == "messages" {
				_, err = DecodeChat([]byte(`{"messages":` + v + `}`))
			}
			var e *Error
			if errors.As(err, &e) && strings.HasPrefix(e.Param, name) {
				wrong++
			}
		}
		if wrong < 3 {
			t.Errorf("%s refuses only %d of 5 kinds of value", name, wrong)
		}
	}
}

func TestNotBuiltMembersAreRefusedOnlyWhereTheyAsk(t *testing.T) {
	for name := range notBuilt {
		if _, both := chatFields[name]; both {
			t.Errorf("%s is both built and not", name)
		}
		if _, err := DecodeChat([]byte(`{` + hello + `,"` + name + `":null}`)); err != nil {
			t.Errorf("%s null: %v", name, err)
		}
	}
}

func TestMessagesTakeTheirNormalForm(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"content":"a<b>&\u00e9","role":"user","name":"<é>"}`, `{"role":"user","content":"a<b>&\u00e9","name":"<é>"}`},
		{`{"role":"user","content":[{"type":"text","text":"a"},{"text":"b","type":"text"}]}`, `{"role":"user","content":[{"type":"text","text":"a"},{"text":"b","type":"text"}]}`},
		{`{"role":"assistant","content":null,"reasoning":"r"}`, `{"role":"assistant","reasoning_content":"r"}`},
		{`{"role":"assistant","content":"c","reasoning":"r","reasoning_content":"q"}`, `{"role":"assistant","content":"c","reasoning_content":"q"}`},
		{`{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"b\":1,\"a\":2}"}}]}`,
			`{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"b\":1,\"a\":2}"}}]}`},
		{`{"role":"tool","content":"x","tool_call_id":"1"}`, `{"role":"tool","content":"x","tool_call_id":"1"}`},
	} {
		req, err := DecodeChat([]byte(`{"messages":[` + c.in + `]}`))
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
		} else if got := string(req.Messages); got != "["+c.want+"]" {
			t.Errorf("%s\n got %s\nwant [%s]", c.in, got, c.want)
		}
	}
}

func TestToolsKeepTheirTextUnlessRefusedByChoice(t *testing.T) {
	const tools = `[ {"type":"function","function":{"name":"f","parameters":{"z":1,"a":{"y":2, "b":3}}}} ]`
	req, err := DecodeChat([]byte(`{` + hello + `,"tools":` + tools + `}`))
	if err != nil || string(req.Tools) != tools {
		t.Errorf("tools: %s, %v", req.Tools, err)
	}
	req, err = DecodeChat([]byte(`{` + hello + `,"tool_choice":"none","tools":` + tools + `}`))
	if err != nil || req.Tools != nil {
		t.Errorf("tools with tool_choice none: %s, %v", req.Tools, err)
	}
}

func TestErrorsDoNotRepeatMuchOfTheClientsText(t *testing.T) {
	long := strings.Repeat("é\\u0001", 100_000)
	for _, body := range []string{
		`{"` + long + `":1}`, `{"messages":[{"role":"user","content":"x","` + long + `":1}]}`, `{"messages":[{"role":"` + long + `","content":"x"}]}`,
		`{` + hello + `,"chat_template_kwargs":{"` + long + `":1}}`, `{` + hello + `,"stream_options":{"` + long + `":1}}`, `{` + hello + `,"reasoning_effort":"` + long + `"}`,
	} {
		_, err := DecodeChat([]byte(body))
		if err == nil || len(err.Error()) > 1024 {
			t.Errorf("an error of %d bytes: %.80v", len(err.Error()), err)
		}
	}
}
