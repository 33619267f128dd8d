package native

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/reasond/reasond/api/openai"
)

// Every member arrives where the chat's member of the same meaning arrives.
func TestGenerateMembersAreAChatsUnderOtherNames(t *testing.T) {
	got, err := DecodeGenerate([]byte(`{"text":"go","model":"m","stream":true,"rid":"r","cache_salt":"s","priority":-2,"sampling_params":{
		"max_new_tokens":9,"min_new_tokens":2,"temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.1,"frequency_penalty":1,"presence_penalty":-1,"repetition_penalty":1.1,
		"logit_bias":{"5":1},"sampling_seed":-1,"n":3,"stop":"a","stop_token_ids":[7],"ignore_eos":true,"no_stop_trim":true,"skip_special_tokens":false,
		"regex":null,"json_schema":null,"spaces_between_special_tokens":true,"custom_params":null},"return_logprob":false,"image_data":null,"log_metrics":true}`))
	if err != nil {
		t.Fatal(err)
	}
	want, err := openai.DecodeChat([]byte(`{"messages":[{"role":"user","content":""}],"model":"m","stream":true,"request_id":"r","cache_salt":"s","priority":-2,
		"max_tokens":9,"min_tokens":2,"temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.1,"frequency_penalty":1,"presence_penalty":-1,"repetition_penalty":1.1,
		"logit_bias":{"5":1},"seed":-1,"n":3,"stop":"a","stop_token_ids":[7],"ignore_eos":true,"include_stop_str_in_output":true,"skip_special_tokens":false}`))
	if err != nil {
		t.Fatal(err)
	}
	want.Messages, want.SeparateReasoning = nil, false
	if !reflect.DeepEqual(got.Texts, []string{"go"}) || !reflect.DeepEqual(got.Chat, want) {
		t.Errorf("\n got %+v\nwant %+v", got.Chat, want)
	}
}

// A chat's members mean in a native body what they mean in a chat.
func TestChatMembersAreTheChats(t *testing.T) {
	members := map[string]string{
		"messages": `[{"role":"assistant","content":"a"}]`, "tools": `[{"type":"function","function":{"name":"f"}}]`, "tool_choice": `"none"`,
		"chat_template_kwargs": `{"a":1}`, "reasoning_effort": `"high"`, "reasoning": `{"effort":"low"}`, "thinking": `true`, "enable_thinking": `false`, "think": `true`,
		"add_generation_prompt": `false`, "continue_final_message": `true`,
	}
	for name := range chatMembers {
		value, ok := members[name]
		if !ok {
			t.Errorf("%s is not tested", name)
			continue
		}
		body := `{"messages":` + members["messages"] + `,"` + name + `":` + value + `}`
		if name == "messages" {
			body = `{"messages":` + value + `}`
		}
		want, err := openai.DecodeChat([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		tokenize, err := DecodeTokenize([]byte(body))
		if err != nil || !reflect.DeepEqual(tokenize.Chat, want) {
			t.Errorf("/tokenize %s: %+v, %v", body, tokenize, err)
		}
		want.SeparateReasoning = false
		generate, err := DecodeGenerate([]byte(body))
		if err != nil || !reflect.DeepEqual(generate.Chat, want) {
			t.Errorf("/generate %s: %v", body, err)
		}
	}
}

// Whatever comes, a decoder answers with a value or with an *openai.Error that
// can be shown.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		`{"text":"a","sampling_params":{"n":2,"stop":["x"]}}`, `{"input_ids":[1,2],"stream":true}`, `{"messages":[{"role":"user","content":"a"}],"tools":[]}`,
		`{"prompt":["a","b"],"return_token_strs":true}`, `{"tokens":[[1],[2]]}`, `{"tokens":[1,[2]]}`, `{"text":"a","reasoning_parser":"qwen3","in_reasoning":null}`, `[]`, `{"a":`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		g, err1 := DecodeGenerate(body)
		k, err2 := DecodeTokenize(body)
		d, err3 := DecodeDetokenize(body)
		s, err4 := DecodeSeparate(body)
		for i, err := range []error{err1, err2, err3, err4} {
			var e *openai.Error
			if err != nil && (!errors.As(err, &e) || e.Message == "" || len(e.Message) > 1024) {
				t.Errorf("decoder %d: %v", i, err)
			}
		}
		if err1 == nil && (g.Chat == nil || g.Texts == nil && g.IDs == nil && g.Chat.Messages == nil) {
			t.Errorf("no prompt: %+v", g)
		}
		if err2 == nil && (k.Prompts == nil) == (k.Chat == nil) || err2 == nil && k.Chat == nil && !k.Many && len(k.Prompts) != 1 {
			t.Errorf("nothing to tokenize, or twice: %+v", k)
		}
		if err3 == nil && (d.Tokens == nil || !d.Many && len(d.Tokens) != 1) {
			t.Errorf("no tokens: %+v", d)
		}
		if err4 == nil && !json.Valid(body) {
			t.Errorf("taken, though no JSON: %+v", s)
		}
	})
}
