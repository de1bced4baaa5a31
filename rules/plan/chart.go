package plan

import (
	"slices"
	"strings"

	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/version"
)

// ChartVersion is a version of a chart and the version of the program it installs.
type ChartVersion struct {
	Version    string
	AppVersion string
}

// ChartFor picks the chart version to move to from `from` so that the chart
// installs tag: the lowest newer version whose appVersion is the tag, since a
// later one brings changes of the chart that nobody asked for. A leading "v" on
// either side does not count.
func ChartFor(from, tag string, versions []ChartVersion) (string, bool) {
	start, err := version.Parse(from)
	if err != nil {
		return "", false
	}
	var best version.Tag
	found := false
	for _, v := range versions {
		if !SameTag(v.AppVersion, tag) {
			continue
		}
		t, err := version.Parse(v.Version)
		if err != nil || t.Prerelease() && !start.Prerelease() || version.CompareReleases(t, start) <= 0 {
			continue
		}
		if !found || version.CompareReleases(t, best) < 0 {
			best, found = t, true
		}
	}
	return best.String(), found
}

// FollowsApp reports whether an image that a chart ships under tag follows the
// chart's appVersion: it has no tag of its own, or that of the appVersion. A chart
// whose version is not listed is taken to.
func FollowsApp(from, tag string, versions []ChartVersion) bool {
	if tag == "" {
		return true
	}
	for _, v := range versions {
		if v.Version == from {
			return SameTag(v.AppVersion, tag)
		}
	}
	return true
}

// NewerCharts are the versions of a chart after `from`, the nearest first, without
// pre-releases unless `from` is one.
func NewerCharts(from string, versions []ChartVersion) []string {
	start, err := version.Parse(from)
	if err != nil {
		return nil
	}
	var newer []version.Tag
	for _, v := range versions {
		t, err := version.Parse(v.Version)
		if err == nil && (!t.Prerelease() || start.Prerelease()) && version.CompareReleases(t, start) > 0 {
			newer = append(newer, t)
		}
	}
	slices.SortStableFunc(newer, version.CompareReleases)
	out := make([]string, len(newer))
	for i, t := range newer {
		out[i] = t.String()
	}
	return out
}

// SameTag reports whether two tags are one version, a leading "v" aside.
func SameTag(a, b string) bool {
	return strings.TrimPrefix(a, "v") == strings.TrimPrefix(b, "v")
}

// ParseChart reads a chart as people write it: "traefik", or with its
// repository: "https://traefik.github.io/charts/traefik",
// "oci://ghcr.io/acme/charts/web".
func ParseChart(s string) pin.Chart {
	i := strings.LastIndexByte(s, '/')
	if i < 0 || !strings.Contains(s, "://") {
		return pin.Chart{Name: s[i+1:]}
	}
	return pin.Chart{Name: s[i+1:], Repository: s[:i]}
}

// SameChart reports whether two charts are the same: their names are equal and
// so are their repositories, unless one side does not say which.
func SameChart(a, b pin.Chart) bool {
	if !strings.EqualFold(a.Name, b.Name) {
		return false
	}
	ra, rb := strings.TrimSuffix(a.Repository, "/"), strings.TrimSuffix(b.Repository, "/")
	return ra == "" || rb == "" || strings.EqualFold(ra, rb)
}
