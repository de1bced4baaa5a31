package program

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// NewVersion is the command that prints BuildVersion.
func NewVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print belay's version",
		Args:  NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			fmt.Fprintln(c.OutOrStdout(), BuildVersion())
			return nil
		},
	}
}

// ModuleVersion is the version alone: "v1.2.3", or "development".
func ModuleVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}

// BuildVersion is what the Go toolchain recorded: module version, commit, and
// whether files were changed.
func BuildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "belay (unknown build)"
	}
	version, commit, changed := info.Main.Version, "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = ", commit " + s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			if s.Value == "true" {
				changed = ", with changes"
			}
		}
	}
	if version == "" || version == "(devel)" {
		version = "development"
	}
	return fmt.Sprintf("belay %s (%s%s%s)", version, info.GoVersion, commit, changed)
}
