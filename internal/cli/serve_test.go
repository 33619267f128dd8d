package cli

import (
	"bytes"
	"net"
	"strings"
	"testing"
)

func TestTheDocumentedRefusals(t *testing.T) {
	for _, tc := range []struct {
		args string
		want string
		code int
	}{
		{"serve --model_dir M --reasoning_parser deepseek-v3 --tp 8", "", exitError},
		{"serve M --prot 1", "reasond: unknown flag --prot (did you mean --port?)\n", exitUsage},
		{"serve M -x", "reasond: unknown shorthand flag: 'x' in -x\n", exitUsage},
		{"serve M --port", "reasond: flag needs an argument: --port\n", exitUsage},
		{"serve M N", "reasond: one model at a time: \"M\" and \"N\"\n", exitUsage},
		{"sevre", "reasond: unknown command \"sevre\" (did you mean serve?)\n", exitUsage},
		{"frobnicate", "reasond: unknown command \"frobnicate\" (reasond --help lists them)\n", exitUsage},
		{"version x", "reasond: unknown command \"x\" for \"reasond version\"\n", exitUsage},
		{"serve M --api-key-file /nowhere/keys", "reasond: --api-key-file: open /nowhere/keys: no such file or directory\n", exitError},
		{"serve --reasoning-parser nope --port 0", "", exitError},
		{"serve /nowhere/model --port 0", "", exitError},
		{"inspect /nowhere/model", "", exitError},
	} {
		code, out, stderr := invoke(t, "", strings.Fields(tc.args)...)
		if code != tc.code || out != "" || tc.want != "" && stderr != tc.want {
			t.Errorf("%s: exit %d, out %q, err %q", tc.args, code, out, stderr)
		}
		if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "reasond: ") {
			t.Errorf("%s: not one line: %q", tc.args, stderr)
		}
	}
}

func TestTheAnnouncementCanBePasted(t *testing.T) {
	for _, tc := range []struct {
		at   net.Addr
		key  bool
		want string
	}{
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8000}, false,
			"curl -s http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' -d '{\"model\":\"m\","},
		{&net.TCPAddr{IP: net.IPv6unspecified, Port: 81}, true,
			"curl -s http://127.0.0.1:81/v1/chat/completions -H 'Content-Type: application/json' -H \"Authorization: Bearer $API_KEY\" -d "},
		{&net.TCPAddr{IP: net.IPv6loopback, Port: 81}, false, "curl -s http://[::1]:81/v1/"},
		{&net.UnixAddr{Name: "/run/r.sock", Net: "unix"}, false, "curl -s --unix-socket /run/r.sock http://localhost/v1/chat/completions "},
	} {
		var out bytes.Buffer
		announce(&out, "m", tc.at, tc.key)
		if !strings.Contains(out.String(), "\n\n  "+tc.want) {
			t.Errorf("%v: %s", tc.at, out.String())
		}
	}
	if got := quoted("it's"); got != `'it'\''s'` {
		t.Error(got)
	}
}

func TestATakenPortIsSaidBeforeLoading(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	code, _, stderr := invoke(t, "", "serve", "/nowhere", "--port", port)
	want := "reasond: --port " + port + ": another program listens on 127.0.0.1:" + port + " (--port 0 picks a free one)\n"
	if code != exitError || stderr != want {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

func TestInspectTellsTheBuiltInModel(t *testing.T) {
	code, out, stderr := invoke(t, "", "inspect")
	if code != exitOK || stderr != "" {
		t.Fatalf("exit %d, %q", code, stderr)
	}
	for _, want := range []string{"safetensors", "Qwen3ForCausalLM", "3.87 M", "68 BF16", "tied", "BPE (1280 tokens)", "yes", "1271 1273", "2048 tokens"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if _, out, _ := invoke(t, "", "inspect", "--json"); !strings.Contains(out, `"parameters": 3870336`) {
		t.Errorf("%s", out)
	}
}
