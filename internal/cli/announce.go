package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
)

// question is what the printed command asks: the built-in model can answer it.
const question = "How many 'r's are in the word 'strawberry'?"

// announce prints where the model is served and a command to paste.
func announce(out io.Writer, model string, at net.Addr, key bool) {
	if at.Network() == "unix" {
		fmt.Fprintf(out, "%s is served on the socket %s\n\n  %s\n\n", model, at, curl("http://localhost", "--unix-socket "+at.String(), model, key))
		return
	}
	base := "http://" + reachable(at)
	fmt.Fprintf(out, "%s is served on %s\n\n  %s\n\n", model, base, curl(base, "", model, key))
}

// reachable is an address that a client on this machine can use: a server that
// listens everywhere is reached by loopback.
func reachable(at net.Addr) string {
	tcp, ok := at.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return at.String()
	}
	return fmt.Sprintf("127.0.0.1:%d", tcp.Port)
}

// curl is a command for a POSIX shell.
func curl(base, options, model string, key bool) string {
	body, _ := json.Marshal(struct { // strings only: cannot fail
		Model    string    `json:"model"`
		Messages []message `json:"messages"`
	}{model, []message{{"user", question}}})
	words := []string{"curl", "-s"}
	if options != "" {
		words = append(words, options)
	}
	words = append(words, base+"/v1/chat/completions", "-H", quoted("Content-Type: application/json"))
	if key {
		words = append(words, "-H", `"Authorization: Bearer $API_KEY"`)
	}
	return strings.Join(append(words, "-d", quoted(string(body))), " ")
}

// quoted is s as one word of a POSIX shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
