package report

import (
	"bytes"
	"io"

	"github.com/rogpeppe/go-internal/diff"
)

// FileChange is a file before and after.
type FileChange struct {
	Path          string
	Before, After []byte
}

// Diff writes a unified diff that git apply takes.
func Diff(w io.Writer, changes []FileChange) error {
	for _, c := range changes {
		text := diff.Diff("a/"+c.Path, c.Before, "b/"+c.Path, c.After)
		// Its first line, "diff a/x b/x", is none of git's.
		_, rest, _ := bytes.Cut(text, []byte("\n"))
		if _, err := w.Write(rest); err != nil {
			return err
		}
	}
	return nil
}
