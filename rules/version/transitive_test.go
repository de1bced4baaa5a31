package version_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/belaybot/belay/rules/version"
)

// TestReleaseOrderIsTransitive holds for any three tags that read as versions,
// of whatever family: sorting a repository's releases needs it.
func TestReleaseOrderIsTransitive(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	parts := [][]string{
		{"", "v", "version-", "server/v", "RELEASE."},
		{"0", "1", "01", "1.0", "1.2", "1.2.0", "2.10.3.1", "20240102", "2024-01-02", "99999999999999999999"},
		{"", "rc1", "-rc.1", "-rc", "-rc.1.2", "-beta", "-alpha.x", "-dev", "-pre.zz", "-a", "-1.alpha"},
		{"", "-r1", "-ls37", "-0", "_1", "+k3s1", "-alpine", "-alpine3.20", "-debian-12", "-g3fa9c1d", "--"},
	}
	var tags []version.Tag
	for range 400 {
		var s strings.Builder
		for _, choices := range parts {
			s.WriteString(choices[rnd.IntN(len(choices))])
		}
		if tag, err := version.Parse(s.String()); err == nil {
			tags = append(tags, tag)
		}
	}
	if len(tags) < 100 {
		t.Fatalf("only %d of 400 tags read as versions", len(tags))
	}
	for range 50000 {
		a, b, c := tags[rnd.IntN(len(tags))], tags[rnd.IntN(len(tags))], tags[rnd.IntN(len(tags))]
		if version.CompareReleases(a, b) <= 0 && version.CompareReleases(b, c) <= 0 && version.CompareReleases(a, c) > 0 {
			t.Fatalf("%s ≤ %s ≤ %s, but not %s ≤ %s", a, b, c, a, c)
		}
	}
}
