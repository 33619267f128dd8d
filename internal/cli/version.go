package cli

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/reasond/reasond/internal/config"
)

// version is set by the build: -ldflags "-X …/internal/cli.version=v1.2.3".
var version string

// Version is the release, or the commit this was built from.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}

func newVersion(w world) *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long:  "Print the version, the Go release that built it and the platform.",
	}
	return command(c, w, func(*config.Flags) {}, cobra.NoArgs, func(context.Context, []string) error {
		_, err := fmt.Fprintf(w.out, "reasond %s %s %s/%s\n", Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	})
}
