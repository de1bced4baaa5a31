package upstream_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/pin"
)

// chart is a chart's archive with the given files.
func chart(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	for name, text := range files {
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const indexYAML = `apiVersion: v1
entries:
  app:
    - {version: 1.1.0, appVersion: v2.0.0, urls: [charts/app-1.1.0.tgz], sources: ["https://github.com/acme/app"]}
    - {version: 1.0.0, appVersion: v1.9.0, urls: [charts/app-1.0.0.tgz]}
`

func TestCharts(t *testing.T) {
	values := "image:\n  registry: ghcr.io\n  repository: acme/app\nworker:\n  image: acme/worker:1.0\n"
	h := serve(t, map[string]string{"/index.yaml": indexYAML, "/charts/app-1.1.0.tgz": string(chart(t, map[string]string{"app/values.yaml": values, "app/charts/db/values.yaml": "image: {repository: acme/db, tag: 15}\n"}))})
	c, _ := client(t, h, nil)
	at := pin.Chart{Name: "app", Repository: h.URL}
	versions, err := c.ChartVersions(context.Background(), at)
	if err != nil || len(versions) != 2 || versions[0].Version != "1.1.0" || versions[0].AppVersion != "v2.0.0" {
		t.Fatalf("got %v, %v", versions, err)
	}
	for range 2 { // the second time from the cache
		images, err := c.ChartImages(context.Background(), at, "1.1.0")
		want := []upstream.ChartImage{{Name: "acme/db", Tag: "15"}, {Name: "acme/worker", Tag: "1.0"}, {Name: "ghcr.io/acme/app"}}
		if diff := cmp.Diff(want, images); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	if n := h.asked["/charts/app-1.1.0.tgz"]; n != 1 {
		t.Errorf("the archive was fetched %d times", n)
	}
	if repo, _, err := c.ChartRepository(context.Background(), at); err != nil || repo != "acme/app" {
		t.Errorf("source is %q, %v", repo, err)
	}
	if _, err := c.ChartVersions(context.Background(), pin.Chart{Name: "other", Repository: h.URL}); !errors.Is(err, upstream.ErrNotFound) {
		t.Errorf("a chart that is not there: %v", err)
	}
	if _, err := c.ChartImages(context.Background(), at, "9.9.9"); !errors.Is(err, upstream.ErrNotFound) {
		t.Errorf("a version that is not there: %v", err)
	}
}

func TestImagesThatAChartShips(t *testing.T) {
	packed := string(chart(t, map[string]string{"cache/values.yaml": "image: {repository: acme/cache, tag: 7.2}\n",
		"cache/templates/job.yaml": "        image: acme/cache-init:1.1\n"}))
	for name, tc := range map[string]struct {
		files map[string]string
		want  []upstream.ChartImage
	}{
		"Artifact Hub's annotation": {map[string]string{"app/Chart.yaml": "annotations:\n  artifacthub.io/images: |\n    - name: app\n      image: ghcr.io/acme/app:v1.9.0\n"},
			[]upstream.ChartImage{{Name: "ghcr.io/acme/app", Tag: "v1.9.0"}}},
		"the older annotation": {map[string]string{"app/Chart.yaml": "annotations:\n  images: |\n    - name: db\n      image: docker.io/acme/db:15\n"},
			[]upstream.ChartImage{{Name: "acme/db", Tag: "15"}}},
		"an annotation that is no list": {map[string]string{"app/Chart.yaml": "annotations: {images: many}\n"}, nil},
		"a packed subchart":             {map[string]string{"app/charts/cache-1.0.0.tgz": packed}, []upstream.ChartImage{{Name: "acme/cache-init", Tag: "1.1"}, {Name: "acme/cache", Tag: "7.2"}}},
		"an image in a template":        {map[string]string{"app/templates/deployment.yaml": "      containers:\n        - image: \"ghcr.io/acme/app:{{ .Chart.AppVersion }}\"\n"}, []upstream.ChartImage{{Name: "ghcr.io/acme/app"}}},
		"a name and a tag from values": {map[string]string{"app/values.yaml": "web: {name: acme/web, version: 2.1}\n",
			"app/templates/web.yaml": "          image: \"{{ .Values.web.name }}:{{ $.Values.web.version | quote }}\"\n"}, []upstream.ChartImage{{Name: "acme/web", Tag: "2.1"}}},
		"a registry of its own before the name": {map[string]string{"app/values.yaml": "registry: registry.example.org\n",
			"app/templates/web.yaml": "          image: {{ .Values.registry }}/acme/web:{{ .Values.tag | default .Chart.AppVersion }}\n"}, []upstream.ChartImage{{Name: "registry.example.org/acme/web"}}},
		"a name made by a helper":         {map[string]string{"app/templates/web.yaml": "          image: {{ include \"app.image\" . }}\n"}, nil},
		"what only the chart's tests run": {map[string]string{"app/templates/tests/test.yaml": "      image: busybox:1.36\n"}, nil},
		"a word that is no image":         {map[string]string{"app/templates/web.yaml": "          image: nginx\n"}, nil},
	} {
		h := serve(t, map[string]string{"/index.yaml": indexYAML, "/charts/app-1.1.0.tgz": string(chart(t, tc.files))})
		c, _ := client(t, h, nil)
		got, err := c.ChartImages(context.Background(), pin.Chart{Name: "app", Repository: h.URL}, "1.1.0")
		if diff := cmp.Diff(tc.want, got); err != nil || len(tc.want)+len(got) > 0 && diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	broken := map[string]string{"app/charts/cache-1.0.0.tgz": "no archive"}
	h := serve(t, map[string]string{"/index.yaml": indexYAML, "/charts/app-1.1.0.tgz": string(chart(t, broken))})
	c, _ := client(t, h, nil)
	if _, err := c.ChartImages(context.Background(), pin.Chart{Name: "app", Repository: h.URL}, "1.1.0"); err == nil || !strings.Contains(err.Error(), "in app/charts") {
		t.Errorf("a packed subchart that is none: %v", err)
	}
}
