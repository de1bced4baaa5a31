package upstream

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/belaybot/belay/rules/pin"
)

// bigIndex is an index.yaml of about 20 MB, as repositories with hundreds of
// charts and years of versions have, written by Helm's own layout.
func bigIndex() []byte {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nentries:\n")
	for c := range 120 {
		fmt.Fprintf(&b, "  chart-%03d:\n", c)
		for v := range 200 {
			fmt.Fprintf(&b, `  - annotations:
      category: Infrastructure
      images: |
        - name: app
          image: docker.io/acme/app-%d:%d.0.0
        - name: os-shell
          image: docker.io/acme/os-shell:12-debian-12-r%d
      licenses: Apache-2.0
    apiVersion: v2
    appVersion: %d.%d.0
    created: "2026-01-02T03:04:05.678901234Z"
    dependencies:
    - name: common
      repository: oci://registry.example.org/charts
      tags:
      - acme-common
      version: 2.x.x
    description: A chart of acme that installs a program, its database and what else they need.
    digest: 3b1d2c4e5f60718293a4b5c6d7e8f90123456789abcdef0123456789abcdef01
    home: https://acme.example.org
    keywords:
    - app
    - web
    maintainers:
    - name: acme
      url: https://github.com/acme/charts
    name: chart-%03d
    sources:
    - https://github.com/acme/app-%d
    urls:
    - https://charts.example.org/chart-%03d-%d.%d.0.tgz
    version: %d.%d.0
`, c, v, v, v/10, v%10, c, c, c, v/10, v%10, v/10, v%10)
		}
	}
	b.WriteString("generated: \"2026-01-02T03:04:05Z\"\n")
	return []byte(b.String())
}

func TestEntriesOf(t *testing.T) {
	const two = "apiVersion: v1\nentries:\n  app:\n  - version: 1.1.0\n    description: |\n      app:\n      web:\n  - version: 1.0.0\n  web:\n    - version: 2.0.0\ngenerated: today\n"
	for name, tc := range map[string]struct{ text, chart, want string }{
		"as Helm writes it":                   {two, "app", "1.1.0 1.0.0"},
		"the last chart":                      {two, "web", "2.0.0"},
		"no such chart":                       {two, "db", "none"},
		"a chart whose name is the beginning": {"entries:\n  app-web:\n  - version: 3.0.0\n  app:\n  - version: 1.0.0\n", "app", "1.0.0"},
		"a quoted name":                       {"entries:\n  \"app\":\n  - version: 1.0.0\n", "app", "1.0.0"},
		"an empty list before":                {"entries:\n  db: []\n  app:\n  - version: 1.0.0\n", "app", "1.0.0"},
		"an own list in one line":             {"entries:\n  app: [{version: 1.0.0}]\n", "app", "1.0.0"},
		"everything in one line":              {"entries: {app: [{version: 1.0.0}], web: []}\n", "app", "1.0.0"},
		"JSON":                                {"{\"entries\": {\"app\": [{\"version\": \"1.0.0\"}]}}", "app", "1.0.0"},
		"comments and empty lines":            {"# charts\n\nentries:\n\n  # the app\n  app:\n\n  - version: 1.0.0\n# end\n  - version: 0.9.0\n", "app", "1.0.0 0.9.0"},
		"CRLF":                                {"entries:\r\n  app:\r\n  - version: 1.0.0\r\n  web:\r\n  - version: 2.0.0\r\n", "app", "1.0.0"},
		"names at the first column":           {"entries:\n app:\n - version: 1.0.0\n web:\n - version: 2.0.0\n", "web", "2.0.0"},
		"a list at the file's top":            {"- a\n- b\n", "app", "error"},
		"one chart's entry for another":       {"entries:\n  app: &same\n  - version: 1.0.0\n  web: *same\n", "web", "1.0.0"},
		"an alias inside an entry":            {"entries:\n  app:\n  - version: 1.0.0\n    urls: &u [a]\n  web:\n  - version: 2.0.0\n    urls: *u\n", "web", "2.0.0"},
		"a tab in a text":                     {"entries:\n  app:\n  - description: |\n      a\n\tb\n    version: 1.0.0\n", "app", "error"},
		"a broken entry":                      {"entries:\n  app:\n  - version: [\n", "app", "error"},
		"no entries":                          {"apiVersion: v1\n", "app", "none"},
	} {
		entries, ok, err := entriesOf([]byte(tc.text), tc.chart)
		var versions []string
		for _, e := range entries {
			versions = append(versions, e.Version)
		}
		got := strings.Join(versions, " ")
		switch {
		case err != nil:
			got = "error"
		case !ok:
			got = "none"
		}
		if got != tc.want {
			t.Errorf("%s: %s (%v), want %s", name, got, err, tc.want)
		}
	}
}

// TestACutEntryIsTheWholes holds what is cut out against reading the whole.
func TestACutEntryIsTheWholes(t *testing.T) {
	data := bigIndex()[:2<<20]
	data = data[:strings.LastIndex(string(data), "\n  - annotations")+1]
	var whole index
	if err := yaml.Unmarshal(data, &whole); err != nil {
		t.Fatal(err)
	}
	if len(whole.Entries) < 5 {
		t.Fatalf("%d charts", len(whole.Entries))
	}
	for name, want := range whole.Entries {
		if got, ok, err := entriesOf(data, name); err != nil || !ok || !cmp.Equal(got, want) {
			t.Errorf("%s: %v, %v: %s", name, ok, err, cmp.Diff(want, got))
		}
	}
}

func BenchmarkIndex(b *testing.B) {
	data := bigIndex()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		c := &Client{urls: map[string]string{}}
		if got, err := c.readIndex(data, "https://charts.example.org/", pin.Chart{Name: "chart-077"}); err != nil || len(got) != 200 {
			b.Fatalf("%d versions, %v", len(got), err)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapSys>>20), "heap-MB")
}
