package grammar

import (
	"encoding/json"
	"fmt"
	"strings"
)

// structuralTag makes Lark of a structural tag: free text in which each of the
// triggers begins one of the tags, whose content follows a schema. It takes
// vLLM's and SGLang's older shape,
//
//	{"structures": [{"begin": "<f=a>", "schema": {…}, "end": "</f>"}], "triggers": ["<f="]}
//
// and of XGrammar's newer one the format triggered_tags:
//
//	{"format": {"type": "triggered_tags", "triggers": […], "tags": [{"begin": …, "content": {"type": "json_schema", "json_schema": {…}}, "end": …}],
//	            "at_least_one": bool, "stop_after_first": bool}}
func structuralTag(source string) (string, error) {
	var t struct {
		Structures []tag    `json:"structures"`
		Triggers   []string `json:"triggers"`
		Format     *struct {
			Type       string   `json:"type"`
			Triggers   []string `json:"triggers"`
			Tags       []tag    `json:"tags"`
			AtLeastOne bool     `json:"at_least_one"`
			StopFirst  bool     `json:"stop_after_first"`
		} `json:"format"`
	}
	if err := json.Unmarshal([]byte(source), &t); err != nil {
		return "", fmt.Errorf("the structural tag: %w", err)
	}
	if t.Format != nil {
		if t.Format.Type != "triggered_tags" {
			return "", fmt.Errorf("format.type %.40q is not supported, only triggered_tags is", t.Format.Type)
		}
		return Tags{Tags: t.Format.Tags, Triggers: t.Format.Triggers, Required: t.Format.AtLeastOne, One: t.Format.StopFirst}.Lark()
	}
	return Tags{Tags: t.Structures, Triggers: t.Triggers}.Lark()
}

// tag is a begin and an end with a schema between them.
type tag struct {
	Begin   string          `json:"begin"`
	End     string          `json:"end"`
	Schema  json.RawMessage `json:"schema"`
	Content *struct {
		Type   string          `json:"type"`
		Schema json.RawMessage `json:"json_schema"`
	} `json:"content"`
}

// Tags is free text with tags in it.
type Tags struct {
	Tags     []tag
	Triggers []string
	Required bool // at least one tag
	One      bool // at most one, which ends the text
}

// Lark is the grammar. The text before a tag ends with the first trigger in it:
// a lazy lexeme, as llguidance has it.
func (t Tags) Lark() (string, error) {
	if len(t.Tags) == 0 || len(t.Triggers) == 0 {
		return "", fmt.Errorf("a structural tag needs structures and triggers")
	}
	var names []string
	var rules strings.Builder
	for i, one := range t.Tags {
		content, err := one.content()
		if err != nil {
			return "", fmt.Errorf("structure %d: %w", i, err)
		}
		trigger := t.trigger(one.Begin)
		if trigger == "" {
			return "", fmt.Errorf("structure %d: begin %.60q begins with none of the triggers", i, one.Begin)
		}
		if one.End == "" {
			return "", fmt.Errorf("structure %d: end is empty", i)
		}
		name := fmt.Sprintf("tag%d", i)
		names = append(names, name)
		fmt.Fprintf(&rules, "%s: %s_head %s %s %s\n", name, name, Quote(one.Begin[len(trigger):]), content, Quote(one.End))
		fmt.Fprintf(&rules, "%s_head[lazy]: TEXT %s\n", name, Quote(trigger))
	}
	count, end := "*", " rest"
	switch {
	case t.Required && t.One:
		count, end = "", ""
	case t.Required:
		count = "+"
	case t.One:
		return "", fmt.Errorf("stop_after_first needs at_least_one")
	}
	return "start: (" + strings.Join(names, " | ") + ")" + count + end + "\nrest: TEXT\n" + rules.String() + "TEXT: /(\\n|.)*/\n", nil
}

// content is the grammar between a tag's begin and end.
func (t tag) content() (string, error) {
	schema := t.Schema
	if t.Content != nil {
		if t.Content.Type != "json_schema" {
			return "", fmt.Errorf("content.type %.40q is not supported, only json_schema is", t.Content.Type)
		}
		schema = t.Content.Schema
	}
	schemaText, err := styled(string(schema))
	return "%json " + schemaText, err
}

// trigger is the one that begins a tag; "" where none does.
func (t Tags) trigger(begin string) string {
	for _, trigger := range t.Triggers {
		if strings.HasPrefix(begin, trigger) {
			return trigger
		}
	}
	return ""
}
