// Package apitest lets tests ask what the OpenAPI description says.
package apitest

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/reasond/reasond/api"
)

// Describes fails the test where a schema of api/openapi.yaml lacks one of the
// members that a decoder knows. An exact one has no others.
func Describes(t *testing.T, schema string, exact bool, members ...string) {
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
	described := doc.Components.Schemas[schema].Properties
	for _, name := range members {
		if described[name] == nil {
			t.Errorf("api/openapi.yaml: %s lacks %s", schema, name)
		}
	}
	for name := range described {
		if exact && !slices.Contains(members, name) {
			t.Errorf("api/openapi.yaml: %s has %s, which no decoder knows", schema, name)
		}
	}
}
