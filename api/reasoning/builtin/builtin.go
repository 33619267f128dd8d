// Package builtin registers the parsers that come with reasond: import it for
// its effect.
package builtin

import _ "github.com/reasond/reasond/internal/reasoning"
