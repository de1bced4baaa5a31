package upstream

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"testing"

	"github.com/belaybot/belay/rules/pin"
)

func FuzzIndex(f *testing.F) {
	f.Add([]byte("entries:\n  app:\n    - {version: 1.0.0, urls: [a.tgz]}\n"))
	f.Add([]byte("entries: &a {app: [*a]}\n"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		c := &Client{urls: map[string]string{}}
		_, _ = c.readIndex(data, "https://charts.example.org/", pin.Chart{Name: "app"})
	})
}

func FuzzChart(f *testing.F) {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	text := "image: {repository: acme/app, tag: 1}\n"
	_ = tw.WriteHeader(&tar.Header{Name: "app/values.yaml", Size: int64(len(text)), Typeflag: tar.TypeReg})
	_, _ = tw.Write([]byte(text))
	_, _ = tw.Close(), zw.Close()
	f.Add(b.Bytes())
	f.Add([]byte("no archive"))
	f.Fuzz(func(t *testing.T, data []byte) {
		images, err := readChart(data)
		if err == nil && len(images) > 1001 {
			t.Errorf("%d images", len(images))
		}
	})
}
