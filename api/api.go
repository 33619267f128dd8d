// Package api holds the description of the HTTP interface as data. The wire types
// themselves are in the packages below, one a dialect.
package api

import _ "embed"

// OpenAPI is an OpenAPI 3.1 document in YAML that describes every route. It is
// the file openapi.yaml; nobody may change it.
//
//go:embed openapi.yaml
var OpenAPI []byte
