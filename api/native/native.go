// Package native holds the wire types of the endpoints that engines have beside
// the OpenAI dialect: /generate and /separate_reasoning as SGLang has them,
// /tokenize and /detokenize as vLLM and SGLang have them, /apply-template as
// llama.cpp has it. Decoding is as strict as, and shares its code with,
// api/openai: an unknown member is an error, one that a peer knows and this
// server does not have is an error with code "unsupported".
package native

import (
	"fmt"

	"github.com/reasond/reasond/api/openai"
)

// MaxBatch bounds the prompts or answers of one request of /tokenize or
// /detokenize.
const MaxBatch = 1024

// chatMembers are the members of a chat request that shape its prompt.
var chatMembers = map[string]bool{
	"messages": true, "tools": true, "tool_choice": true, "chat_template_kwargs": true,
	"reasoning_effort": true, "reasoning": true, "thinking": true, "enable_thinking": true, "think": true,
	"add_generation_prompt": true, "continue_final_message": true,
}

// list reads one thing, which is an element, or an array of at most so many. one
// is told the place of each; many says that there was an array.
func list(v openai.Value, name, element string, most int, one func(path string, v openai.Value) error) (many bool, err error) {
	if v.Kind() != "array" || element == "array" && !holdsArrays(v) {
		return false, one(name, v)
	}
	return true, v.Items(func(i int, v openai.Value) error {
		if i == most {
			return openai.Invalid(name, "more than %d elements", most)
		}
		return one(fmt.Sprintf("%s[%d]", name, i), v)
	})
}

// holdsArrays says whether an array is one of arrays: its first element tells.
func holdsArrays(v openai.Value) bool {
	nested := false
	_ = v.Items(func(i int, v openai.Value) error {
		nested = nested || i == 0 && v.Kind() == "array"
		return nil
	})
	return nested
}

// idLists reads ids, or arrays of ids.
func idLists(v openai.Value, name string, most int) (lists [][]int32, many bool, err error) {
	many, err = list(v, name, "array", most, func(path string, v openai.Value) error {
		ids, err := v.IDs(path)
		lists = append(lists, ids)
		return err
	})
	return lists, many, err
}
