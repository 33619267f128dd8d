package e2e_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// status asks for a path and returns the answer's status.
func status(t *testing.T, client *http.Client, url, key string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return res.StatusCode
}

func TestASocketLeftByAKilledServerIsTakenOver(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	p := startEnv(t, nil, "--uds", socket)
	if got := status(t, client, "http://localhost/v1/models", ""); got != http.StatusOK {
		t.Errorf("status %d", got)
	}
	if _, stderr, code := reasond(t, "", "serve", "--uds", socket); code != 1 || !strings.Contains(stderr, "another program listens there") {
		t.Errorf("a second server: exit %d, %s", code, stderr)
	}
	p.signal(syscall.SIGKILL)
	_ = p.wait(10 * time.Second)
	if _, err := os.Stat(socket); err != nil {
		t.Fatalf("a killed server leaves no socket: the test shows nothing (%v)", err)
	}
	startEnv(t, nil, "--uds", socket)
	client.CloseIdleConnections()
	if got := status(t, client, "http://localhost/v1/models", ""); got != http.StatusOK {
		t.Errorf("status %d", got)
	}
}

func TestKeysAndNamesComeFromFlagsFilesAndVariables(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("# ours\nin-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"REASOND_API_KEY=in-env", "REASOND_API_KEY_FILE=" + keys, "REASOND_SERVED_MODEL_NAME=first, second"}
	p := startEnv(t, env, "--port", "0", "--public", "/metrics")
	for _, tc := range []struct {
		path, key string
		want      int
	}{
		{"/healthz", "", 200}, {"/readyz", "", 200}, {"/metrics", "", 200},
		{"/health", "", 401}, {"/version", "", 401}, {"/v1/models", "", 401}, {"/v1/models", "wrong", 401}, {"/nowhere", "", 401},
		{"/v1/models", "in-env", 200}, {"/v1/models", "in-file", 200}, {"/health", "in-env", 200},
		{"/v1/models/first", "in-env", 200}, {"/v1/models/second", "in-env", 200}, {"/v1/models/third", "in-env", 404},
	} {
		if got := status(t, http.DefaultClient, p.base+tc.path, tc.key); got != tc.want {
			t.Errorf("%s with key %q: %d, want %d", tc.path, tc.key, got, tc.want)
		}
	}
	if !strings.Contains(p.curl, `"model":"first"`) || !strings.Contains(p.curl, "$API_KEY") || strings.Contains(p.curl, "in-env") {
		t.Errorf("%s", p.curl)
	}
	if log := p.stderr.String(); strings.Contains(log, "in-env") || strings.Contains(log, "in-file") {
		t.Error("a key is in the log")
	}
}

// The command lines of other servers' documentation serve a model as they stand.
func TestOtherServersCommandLinesServe(t *testing.T) {
	for _, line := range []string{
		"api_server M --reasoning-parser deepseek-r1",
		"M --enable-reasoning --reasoning-parser deepseek_r1",
		"--model-path M --tp 1 --enable-reasoning --reasoning-parser deepseek-r1 --host 0.0.0.0 --log-level warning",
	} {
		args := strings.Fields(line)
		for i := range args {
			if args[i] == "M" {
				args[i] = "../../testdata/tiny-reasoner"
			}
		}
		start(t, args...).answers()
	}
}
