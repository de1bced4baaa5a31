package pin_test

import (
	"testing"

	"github.com/belaybot/belay/rules/pin"
)

// FuzzSplices checks that what is written, between prefix and suffix, is the
// tag that was asked for, whatever the tag holds.
func FuzzSplices(f *testing.F) {
	f.Add("v", "-cuda", "v1.2.4-cuda", "", false)
	f.Add("", "", "1.35.8", "sha256:ab", true)
	f.Add("v", "", "1.2.4", "", false)
	f.Add("v1", "1", "v1", "", true)
	f.Fuzz(func(t *testing.T, prefix, suffix, tag, digest string, carries bool) {
		p := pin.Pin{Prefix: prefix, Suffix: suffix, Span: pin.Span{Path: "main.tf", End: 3, Text: "old"}}
		if carries {
			p.Digest = &pin.Span{Path: "main.tf", Start: 4, End: 9, Role: pin.RoleDigest}
		}
		splices, err := p.Splices(tag, digest)
		if err != nil {
			return
		}
		if got := prefix + splices[0].New + suffix; got != tag {
			t.Errorf("writes %q for %q", got, tag)
		}
		if splices[0].New == "" {
			t.Error("writes an empty version")
		}
		if carries && (len(splices) != 2 || splices[1].New != digest || digest == "") {
			t.Errorf("a digest beside the tag becomes %+v", splices)
		}
	})
}
