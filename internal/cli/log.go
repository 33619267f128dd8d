package cli

import (
	"io"
	"log/slog"
)

// newLogger writes lines of text to a terminal and JSON objects elsewhere,
// unless format (text, json) says otherwise. level is debug, info, warn or
// error.
func newLogger(out io.Writer, level, format string) *slog.Logger {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		panic("cli: log level " + level + " was not checked")
	}
	options := &slog.HandlerOptions{Level: least}
	if format == "text" || format == "auto" && terminal(out) {
		return slog.New(slog.NewTextHandler(out, options))
	}
	return slog.New(slog.NewJSONHandler(out, options))
}
