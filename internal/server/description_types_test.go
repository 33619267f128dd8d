package server

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/reasond/reasond/api/anthropic"
	"github.com/reasond/reasond/api/native"
	"github.com/reasond/reasond/api/ollama"
	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/api/responses"
)

// answerTypes are the types that answers are written with, by their schemas.
var answerTypes = map[string]any{
	"ChatCompletion": openai.ChatCompletion{}, "ChatCompletionChunk": openai.ChatCompletionChunk{}, "Completion": openai.Completion{},
	"Error": openai.ErrorResponse{}, "ModelInfo": openai.Model{}, "ModelList": openai.ModelList{}, "ToolCall": openai.ToolCall{},
	"Message": anthropic.Message{}, "TokenCount": anthropic.Count{}, "AnthropicError": anthropic.ErrorResponse{},
	"OllamaChunk": ollama.Chunk{}, "OllamaTags": ollama.Tags{}, "OllamaRunning": ollama.Running{}, "OllamaShow": ollama.Show{}, "OllamaError": ollama.ErrorResponse{},
	"Response": responses.Response{}, "ResponseDeleted": responses.Deleted{}, "ItemList": responses.ItemList{},
	"Generated": native.GenerateResponse{}, "Separated": native.SeparateResponse{}, "FunctionCalls": native.FunctionCallResponse{}, "Prompt": native.ApplyTemplateResponse{},
	"Status": status{}, "Readiness": readiness{},
}

// A type's members are its schema's, and those that are always there are
// required. So a member that no test's answer has is described too.
func TestAnswersHaveTheMembersOfTheirTypes(t *testing.T) {
	d := describedAPI(t)
	for name, value := range answerTypes {
		if d.schemas[name] == nil {
			t.Errorf("there is no schema %s", name)
			continue
		}
		d.compare(t, name, d.schemas[name], reflect.TypeOf(value))
	}
}

// compare holds a schema against a type.
func (d *description) compare(t *testing.T, path string, schema map[string]any, typ reflect.Type) {
	t.Helper()
	if schema = d.resolve(schema); schema == nil || schema["oneOf"] != nil || schema["type"] == "null" {
		return // several forms of one type, of which answers tell, or never there
	}
	if typ.Implements(reflect.TypeFor[json.Marshaler]()) || reflect.PointerTo(typ).Implements(reflect.TypeFor[json.Marshaler]()) {
		return
	}
	switch typ.Kind() {
	case reflect.Pointer:
		d.compare(t, path, schema, typ.Elem())
	case reflect.Slice:
		items, ok := schema["items"].(map[string]any)
		if !ok {
			t.Errorf("%s is an array", path)
			return
		}
		d.compare(t, path+"[]", items, typ.Elem())
	case reflect.Struct:
		d.compareStruct(t, path, schema, typ)
	}
}

func (d *description) compareStruct(t *testing.T, path string, schema map[string]any, typ reflect.Type) {
	t.Helper()
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	known := map[string]bool{}
	var fields func(typ reflect.Type, always bool)
	fields = func(typ reflect.Type, always bool) {
		for f := range typ.Fields() {
			if f.Anonymous {
				if f.Type.Kind() == reflect.Pointer {
					fields(f.Type.Elem(), false)
				} else {
					fields(f.Type, always)
				}
				continue
			}
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			known[name] = true
			sub, ok := properties[name].(map[string]any)
			if !ok {
				t.Errorf("%s.%s is not described", path, name)
				continue
			}
			if there := always && options == ""; slices.Contains(required, any(name)) != there {
				t.Errorf("%s.%s: it is always there: %v", path, name, there)
			}
			d.compare(t, path+"."+name, sub, f.Type)
		}
	}
	fields(typ, true)
	for name := range properties {
		if !known[name] {
			t.Errorf("%s.%s is described and never there", path, name)
		}
	}
}

// resolve follows a reference, and takes of a schema or null the schema.
func (d *description) resolve(schema map[string]any) map[string]any {
	if ref, ok := schema["$ref"].(string); ok {
		return d.resolve(d.schemas[strings.TrimPrefix(ref, "#/components/schemas/")])
	}
	for _, one := range anyOf(schema) {
		if one["type"] != "null" {
			return d.resolve(one)
		}
	}
	return schema
}

func anyOf(schema map[string]any) []map[string]any {
	list, _ := schema["anyOf"].([]any)
	var all []map[string]any
	for _, one := range list {
		all = append(all, one.(map[string]any))
	}
	return all
}
