package e2e_test

import (
	"fmt"
	"testing"
	"time"
)

// transformers computed the goldens; nothing of ours writes them.
func TestOpenAIsClientGetsEveryGoldenAnswer(t *testing.T) {
	p := start(t, "--dtype", "float32")
	seed := fmt.Sprint(time.Now().UnixNano() % 1e6)
	t.Logf("%s", python(t, nil, "golden.py", p.base+"/v1", "../../testdata/tiny-reasoner/golden.json", seed))
}
