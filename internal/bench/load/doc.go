// Package load is the client of `reasond bench --url`: it asks any server of
// OpenAI's chat or completions dialect as many clients at once would, and tells how
// long they waited for the first token, for the first token of the answer behind
// the reasoning, and from token to token, and how many requests a second were
// served well. It knows no flags and no models; tokens are what the server's usage
// counts.
package load
