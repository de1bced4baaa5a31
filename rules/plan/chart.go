package plan

import (
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
		if !sameApp(v.AppVersion, tag) {
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

func sameApp(a, b string) bool {
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
