package upstream

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/belaybot/belay/rules/image"
)

// Bounds of a chart's archive: far above real charts, far below what would hurt.
const (
	maxChartFiles = 4_000
	maxChartBytes = 64 << 20
	maxSubcharts  = 4 // packed inside each other
	maxImages     = 1_000
)

// chartFiles are the files of a chart that may name images, by path in the
// archive, those of packed subcharts below their own directory.
type chartFiles struct {
	values, metadata, templates map[string][]byte
	count                       int
	size                        int64
}

// readChart reads a chart's archive for the images that it ships: those of its
// default values, those that it lists in the annotations of Chart.yaml, and
// those that its templates write out, subcharts included, packed or not.
func readChart(data []byte) ([]ChartImage, error) {
	f := &chartFiles{values: map[string][]byte{}, metadata: map[string][]byte{}, templates: map[string][]byte{}}
	if err := f.unpack(data, "", 0); err != nil {
		return nil, err
	}
	var out []ChartImage
	values := map[string]any{} // by the chart's directory
	for name, text := range f.values {
		var doc any
		// Half a list would be kept for good: better none, and the reason.
		if err := yaml.Unmarshal(text, &doc); err != nil {
			return nil, fmt.Errorf("chart archive: %s: %w", name, err)
		}
		values[path.Dir(name)] = doc
		out = collect(doc, "", out, 0)
	}
	for name, text := range f.metadata {
		listed, err := annotated(text)
		if err != nil {
			return nil, fmt.Errorf("chart archive: %s: %w", name, err)
		}
		out = append(out, listed...)
	}
	for name, text := range f.templates {
		dir, _, _ := strings.Cut(name, "/templates/")
		out = append(out, written(text, values[dir])...)
	}
	slices.SortFunc(out, func(a, b ChartImage) int { return strings.Compare(a.Name+":"+a.Tag, b.Name+":"+b.Tag) })
	out = slices.Compact(out)
	return out[:min(len(out), maxImages)], nil
}

// unpack reads an archive, and the archives of subcharts in it.
func (f *chartFiles) unpack(data []byte, below string, depth int) error {
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("chart archive%s: %w", place(below), err)
	}
	tr := tar.NewReader(io.LimitReader(zr, maxChartBytes-f.size))
	for {
		head, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("chart archive%s: %w", place(below), err)
		}
		if f.count++; f.count > maxChartFiles {
			return fmt.Errorf("chart archive: more than %d files", maxChartFiles)
		}
		name := path.Join(below, path.Clean("/" + head.Name)[1:])
		into := f.wants(name)
		packed := depth < maxSubcharts && path.Base(path.Dir(name)) == "charts" && strings.HasSuffix(name, ".tgz")
		if head.Typeflag != tar.TypeReg || into == nil && !packed {
			continue
		}
		text, err := io.ReadAll(tr)
		if err != nil {
			return fmt.Errorf("chart archive: %s: %w", name, err)
		}
		f.size += int64(len(text))
		if into != nil {
			into[name] = text
			continue
		}
		if err := f.unpack(text, path.Dir(name), depth+1); err != nil {
			return err
		}
	}
}

func place(below string) string {
	if below == "" {
		return ""
	}
	return " in " + below
}

// wants says where a file belongs, nil for one that names no images.
func (f *chartFiles) wants(name string) map[string][]byte {
	switch base := path.Base(name); {
	case strings.Contains(name, "/templates/"):
		if ext := path.Ext(base); (ext == ".yaml" || ext == ".yml" || ext == ".tpl") && !strings.Contains(name, "/tests/") {
			return f.templates
		}
	case base == "values.yaml":
		return f.values
	case base == "Chart.yaml":
		return f.metadata
	}
	return nil
}

// annotated reads the images that a Chart.yaml lists: Artifact Hub's annotation
// (https://artifacthub.io/docs/topics/annotations/helm) and the older "images".
func annotated(text []byte) ([]ChartImage, error) {
	var chart struct {
		Annotations map[string]string `yaml:"annotations"`
	}
	if err := yaml.Unmarshal(text, &chart); err != nil {
		return nil, err
	}
	var out []ChartImage
	for _, key := range []string{"artifacthub.io/images", "images"} {
		var list []struct {
			Image string `yaml:"image"`
		}
		// The annotation is a text of its own; one that is no list names nothing.
		if yaml.Unmarshal([]byte(chart.Annotations[key]), &list) != nil {
			continue
		}
		for _, l := range list[:min(len(list), maxImages)] {
			if ref, err := image.Parse(l.Image); err == nil {
				out = append(out, ChartImage{Name: ref.Familiar(), Tag: ref.Tag})
			}
		}
	}
	return out, nil
}

var (
	// imageLine matches `image: "ghcr.io/acme/app:{{ .Chart.AppVersion }}"`, `- image: {{ .Values.image }}`; not "image: {{- include …" (it names nothing).
	imageLine = regexp.MustCompile(`(?m)^[ \t]*(?:- )?image:[ \t]*(\S[^\r\n]*?)[ \t]*\r?$`)
	// action matches one "{{ … }}".
	action = regexp.MustCompile(`\{\{-?[ \t]*(.*?)[ \t]*-?\}\}`)
	// valuePath matches ".Values.web.image", "$.Values.web.image | quote", "default \"x\" .Values.tag"; not "include …".
	valuePath = regexp.MustCompile(`^\$?\.Values\.([\w.]+)(?:[ \t]*\|.*)?$`)
)

// written are the images that a template writes out, with what it takes from
// the chart's values put in. A line whose name is made in another way is left out.
func written(text []byte, values any) []ChartImage {
	var out []ChartImage
	for _, m := range imageLine.FindAllSubmatch(text, maxImages) {
		const open = "\x00" // stands for what cannot be known
		s := action.ReplaceAllStringFunc(string(m[1]), func(a string) string {
			inner := action.FindStringSubmatch(a)[1]
			if p := valuePath.FindStringSubmatch(inner); p != nil {
				if v := lookUp(values, strings.Split(p[1], ".")); v != "" {
					return v
				}
			}
			return open
		})
		s = strings.Trim(s, `"'`)
		// What cannot be known may be the tag alone.
		name, tag, _ := strings.Cut(s, ":"+open)
		if strings.Contains(name, open) || strings.Contains(tag, "/") || strings.ContainsAny(name, "{}") || !image.Plausible(name) && name == s {
			continue
		}
		if ref, err := image.Parse(name); err == nil {
			out = append(out, ChartImage{Name: ref.Familiar(), Tag: ref.Tag})
		}
	}
	return out
}

// lookUp finds a scalar in values, "" when there is none.
func lookUp(values any, keys []string) string {
	for _, k := range keys {
		m, ok := values.(map[string]any)
		if !ok {
			return ""
		}
		values = m[k]
	}
	switch v := values.(type) {
	case string:
		return v
	case int, float64:
		return fmt.Sprint(v)
	}
	return ""
}

// collect finds images in values: {registry, repository, tag}, and strings
// under keys that name an image.
func collect(v any, key string, out []ChartImage, depth int) []ChartImage {
	if depth > 50 || len(out) > maxImages {
		return out
	}
	switch v := v.(type) {
	case map[string]any:
		if repo, ok := v["repository"].(string); ok && repo != "" {
			if registry, ok := v["registry"].(string); ok && registry != "" && !strings.HasPrefix(repo, registry+"/") {
				repo = registry + "/" + repo
			}
			if ref, err := image.Parse(repo); err == nil {
				tag := ""
				if t, ok := v["tag"]; ok && t != nil {
					tag = fmt.Sprint(t)
				}
				out = append(out, ChartImage{Name: ref.Familiar(), Tag: tag})
			}
		}
		for k, e := range v {
			out = collect(e, k, out, depth+1)
		}
	case []any:
		for _, e := range v {
			out = collect(e, key, out, depth+1)
		}
	case string:
		if strings.HasSuffix(strings.ToLower(key), "image") && image.Plausible(v) {
			if ref, err := image.Parse(v); err == nil {
				out = append(out, ChartImage{Name: ref.Familiar(), Tag: ref.Tag})
			}
		}
	}
	return out
}
