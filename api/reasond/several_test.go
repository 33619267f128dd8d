package reasond_test

import (
	"context"
	"strings"
	"testing"

	"github.com/reasond/reasond/api/reasond"
)

func TestSeveralEnginesInAProcess(t *testing.T) {
	m, err := reasond.Open("", reasond.Options{Float32: true, DataParallel: 2, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	got, err := m.Chat(context.Background(), ask("Which is larger, 9.11 or 9.8?"), reasond.Params{})
	if err != nil || !strings.Contains(got.Content, "9.8") {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := reasond.Open("", reasond.Options{Float32: true, TensorParallel: 2}); err == nil || !strings.Contains(err.Error(), "2 GPUs are needed") {
		t.Errorf("ranks on the CPU: %v", err)
	}
}
