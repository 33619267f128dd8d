package openai

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/reasond/reasond/api"
)

// properties are the members that the OpenAPI description gives a schema.
func properties(t *testing.T, schema string) map[string]json.RawMessage {
	t.Helper()
	data, err := yaml.YAMLToJSON(api.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]json.RawMessage }
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Components.Schemas[schema].Properties
}

// The members that the decoders know are those that api/openapi.yaml describes.
func TestMembersOfRequestsAreDescribed(t *testing.T) {
	members := map[string]map[string]bool{"ChatRequest": {}, "Reasoning": {"effort": true, "enabled": true, "exclude": true, "max_tokens": true}, "CompletionRequest": maps.Clone(textMembers)}
	for name := range chatFields {
		members["ChatRequest"][name] = true
	}
	for name := range phaseFields {
		members["Reasoning"][name] = true
	}
	maps.Copy(members["CompletionRequest"], textOnlyMembers)
	for schema, known := range members {
		described := properties(t, schema)
		for name := range known {
			if described[name] == nil {
				t.Errorf("api/openapi.yaml: %s lacks %s", schema, name)
			}
		}
		for name := range described {
			if !known[name] {
				t.Errorf("api/openapi.yaml: %s has %s, which no decoder knows", schema, name)
			}
		}
	}
}
