package e2e_test

import "testing"

// Anthropic's and Ollama's own clients, whole and streamed, with thoughts, tools
// and errors.
func TestOtherDialectsSpeakToTheirClients(t *testing.T) {
	p := start(t, "--dtype", "float32")
	t.Logf("%s", python(t, nil, "dialects.py", p.base))
}
