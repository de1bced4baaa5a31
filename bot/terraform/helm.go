package terraform

import (
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/version"
)

// helm walks a helm_release: the chart's version and the images in its values.
func (w *walker) helm(r *hclsyntax.Block, s *scope, u use) {
	u.workload, u.namespace = s.string(r.Body, "name"), s.string(r.Body, "namespace")
	u.chart = chartOf(s.string(r.Body, "repository"), s.string(r.Body, "chart"))
	w.chart(r, s, u)
	u.shape = pin.ShapeValues
	all := object()
	line := u.at
	if attr := r.Body.Attributes["values"]; attr != nil {
		line = attr.NameRange
		for _, doc := range s.eval(attr.Expr).items {
			overlay(all, decodeYAML(doc), 0)
		}
	}
	for _, set := range w.sets(r, s) {
		put(all, set.name, set.val)
	}
	u.at = line
	u.ignored = keep(u.ignored, "values", "set")
	if !u.outside && !u.disabled {
		w.placeOf(u.service).chartHosts(all, false, 0)
	}
	w.spotValues(all, "", u, 0)
	w.keepValues(all, u)
	w.values(all, u)
}

func keep(ignored []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(ignored), func(s string) bool {
		return s != "all" && !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(s, n) })
	})
}

// chartOf names a chart. An OCI chart may be written as one address or as two.
func chartOf(repository, chart string) pin.Chart {
	if strings.HasPrefix(chart, "oci://") {
		return pin.Chart{Name: path.Base(chart), Repository: strings.TrimSuffix(chart, "/"+path.Base(chart))}
	}
	// A chart may be named with its repository's alias: "bitnami/redis".
	return pin.Chart{Name: path.Base(chart), Repository: repository}
}

func (w *walker) chart(r *hclsyntax.Block, s *scope, u use) {
	u.at = r.TypeRange
	ignored := covers(u.ignored, "version")
	name := r.Body.Attributes["chart"]
	if name == nil {
		return
	}
	chart, known := s.eval(name.Expr).known()
	if known && (strings.HasPrefix(chart, ".") || strings.HasPrefix(chart, "/") || strings.HasSuffix(chart, ".tgz") || w.isDir(s, chart)) {
		return // a chart in the repository has no version to follow
	}
	attr := r.Body.Attributes["version"]
	if attr == nil {
		w.add(pin.Pin{Kind: pin.KindChart, Chart: u.chart, Reason: pin.NoTag, Detail: "the release names no version: Helm installs the newest"}, u, ignored)
		return
	}
	u.at = attr.NameRange
	s.eval(attr.Expr).each(func(v *value) {
		p := pin.Pin{Kind: pin.KindChart, Chart: u.chart}
		switch v.kind {
		case kindUnknown:
			p.Reason, p.Detail = v.reason, v.detail
		case kindString:
			if why := v.firstUnknown(0, len(v.flatten())); why != nil {
				p.Reason, p.Detail = why.reason, why.detail
				break
			}
			p.Version = v.flatten()
			w.fix(&p, v)
			if p.Shape == pin.ShapeLiteral {
				p.Shape = pin.ShapeChart
			}
			if _, err := version.Parse(p.Version); p.Reason == pin.Followed && err != nil {
				p.Reason, p.Detail = pin.Unversioned, "a range of versions: Helm chooses"
			}
			if !known || u.chart.Name == "." {
				p.Reason, p.Detail = pin.Computed, "the chart's name is computed"
			}
		case kindNull:
			p.Reason, p.Detail = pin.NoTag, "the release names no version: Helm installs the newest"
		case kindObject, kindList, kindChoice:
			p.Reason = pin.Computed
		}
		w.add(p, u, ignored)
	})
}

// isDir reports whether a chart's name is a directory of the repository.
func (w *walker) isDir(s *scope, chart string) bool {
	for _, p := range []string{path.Join(chart, "Chart.yaml"), path.Join(s.inst.mod.dir, chart, "Chart.yaml")} {
		if _, ok := w.repo.paths[p]; ok {
			return true
		}
	}
	return false
}

type setting struct {
	name string
	val  *value
}

// sets are the release's set, set_sensitive and set_list settings, as blocks
// and as the list of objects that version 3 of the provider takes.
func (w *walker) sets(r *hclsyntax.Block, s *scope) []setting {
	var out []setting
	take := func(name, val *value) {
		if n, ok := name.known(); ok && val != nil {
			out = append(out, setting{n, val})
		}
	}
	block := func(body *hclsyntax.Body, s *scope) {
		if n, v := body.Attributes["name"], body.Attributes["value"]; n != nil && v != nil {
			take(s.eval(n.Expr), s.eval(v.Expr))
		}
	}
	for _, b := range r.Body.Blocks {
		switch {
		case b.Type == "set" || b.Type == "set_sensitive":
			block(b.Body, s)
		case b.Type == "dynamic" && len(b.Labels) == 1 && strings.HasPrefix(b.Labels[0], "set"):
			content, each := firstBlock(b.Body, "content"), b.Body.Attributes["for_each"]
			if content == nil || each == nil {
				continue
			}
			for _, e := range s.repeat(s.eval(each.Expr), b.Labels[0]) {
				block(content.Body, e.scope)
			}
		}
	}
	for _, name := range []string{"set", "set_sensitive"} {
		if attr := r.Body.Attributes[name]; attr != nil {
			for _, e := range s.eval(attr.Expr).items {
				if n, v := e.get("name"), e.get("value"); n != nil {
					take(n, v)
				}
			}
		}
	}
	return out
}

// put sets "a.b.c" in an object, as Helm's --set does.
func put(o *value, name string, val *value) {
	keys := strings.Split(strings.ReplaceAll(name, `\.`, "\x00"), ".")
	for i, k := range keys {
		k = strings.ReplaceAll(k, "\x00", ".")
		if i == len(keys)-1 {
			o.fields = append(o.fields, field{k, val})
			return
		}
		inner := o.get(k)
		if inner == nil || inner.kind != kindObject {
			inner = object()
		} else {
			inner = object(inner.fields...)
		}
		o.fields = append(o.fields, field{k, inner})
		o = inner
	}
}

// overlay lays a document of values over those before it, deeply, as Helm does.
func overlay(under, over *value, depth int) {
	if depth > maxDepth {
		return
	}
	over.each(func(over *value) {
		for _, f := range over.fields {
			if have := under.get(f.key); have != nil && have.kind == kindObject && f.val.kind == kindObject {
				inner := object(have.fields...)
				overlay(inner, f.val, depth+1)
				under.fields = append(under.fields, field{f.key, inner})
				continue
			}
			under.fields = append(under.fields, f)
		}
	})
}

// manifest walks a Kubernetes object written as HCL or YAML.
func (w *walker) manifest(r *hclsyntax.Block, s *scope, u use) {
	u.shape = pin.ShapeManifest
	for _, name := range []string{"manifest", "yaml_body", "content", "yaml"} {
		attr := r.Body.Attributes[name]
		if attr == nil {
			continue
		}
		u.at = attr.NameRange
		docs := decodeYAML(s.eval(attr.Expr))
		list := []*value{docs}
		if docs.kind == kindList {
			list = docs.items
		}
		u.ignored = keep(u.ignored, name)
		for _, doc := range list {
			v := u
			if !u.outside && !u.disabled {
				w.placeOf(u.service).object(doc)
			}
			if meta := doc.get("metadata"); meta != nil {
				v.workload, v.namespace = stringOf(meta.get("name")), stringOf(meta.get("namespace"))
				v.marks = v.marks.from(meta.get("annotations"))
			}
			w.spotValues(doc, "", v, 0)
			w.keepValues(doc, v)
			w.values(doc, v)
		}
	}
}

func stringOf(v *value) string {
	if v == nil {
		return ""
	}
	s, _ := v.known()
	return s
}

// values walks Helm values, a manifest or a module's arguments for images.
func (w *walker) values(v *value, u use) {
	w.valuesAt(v, "", u, 0)
}

func (w *walker) valuesAt(v *value, key string, u use, depth int) {
	if depth > maxDepth || v == nil {
		return
	}
	switch v.kind {
	case kindChoice:
		v.each(func(a *value) { w.valuesAt(a, key, u, depth+1) })
	case kindList:
		for _, e := range v.items {
			w.valuesAt(e, "", u, depth+1)
		}
	case kindObject:
		w.valuesObject(v, key, u, depth)
	case kindString, kindUnknown, kindNull:
	}
}

func (w *walker) valuesObject(v *value, key string, u use, depth int) {
	for _, name := range []string{"podAnnotations", "annotations"} {
		u.marks = u.marks.from(v.get(name))
	}
	if meta := v.get("metadata"); meta != nil {
		u.marks = u.marks.from(meta.get("annotations"))
	}
	taken := w.pairOf(v, key, u)
	for _, f := range uniqueFields(v.fields) {
		if slices.Contains(taken, f.key) {
			continue
		}
		if whole, ok := f.val.known(); ok && isImageKey(key) && !isImageKey(f.key) && strings.Contains(whole, "/") && image.Plausible(whole) {
			w.imageString(f.key, f.val, u) // image.repositoryAndTag and the like
			continue
		}
		if isImageKey(f.key) && (f.val.kind == kindString || f.val.kind == kindChoice || f.val.kind == kindUnknown && f.key == "image") {
			if tag := sibling(v, f.key); tag != nil {
				w.located(pairPin{name: f.val, tag: tag}, u)
				continue
			}
			w.imageString(f.key, f.val, u)
			continue
		}
		w.valuesAt(f.val, f.key, u, depth+1)
	}
}

// isImageKey reports whether a key names an image: "image", "initImage", "image_name".
func isImageKey(k string) bool {
	l := strings.ToLower(k)
	if !strings.Contains(l, "image") {
		return false
	}
	l = strings.ReplaceAll(strings.ReplaceAll(l, "_", ""), "-", "")
	return l == "image" || l == "imagename" || l == "containerimage" || strings.HasSuffix(l, "image")
}

// sibling is the tag that stands beside an image's name: image and tag, image
// and imageTag, image_name and image_tag.
func sibling(v *value, key string) *value {
	if s, ok := v.get(key).known(); ok {
		if _, tag, digest := split(s); tag[1] > tag[0] || digest[1] > digest[0] {
			return nil
		}
	}
	for _, name := range []string{"tag", key + "Tag", key + "_tag", "imageTag", "image_tag", strings.TrimSuffix(key, "_name") + "_tag", strings.TrimSuffix(key, "Name") + "Tag"} {
		if t := v.get(name); t != nil && t.kind != kindObject && t.kind != kindNull {
			return t
		}
	}
	return nil
}

// imageString takes a string under an image's key. Under "image" it is one;
// under a longer key only when it reads as one, since such keys also hold
// other things.
func (w *walker) imageString(key string, v *value, u use) {
	v.each(func(v *value) {
		s := v.flatten()
		if v.kind == kindNull || v.kind == kindString && s == "" {
			return
		}
		if key != "image" && (v.kind != kindString || !image.Plausible(s)) {
			return
		}
		if v.kind == kindString && key == "image" && u.shape == pin.ShapeArgument && !image.Plausible(s) && !strings.Contains(s, "/") {
			return // a module's "image" may be a machine's: "ubuntu-22.04"
		}
		u := u
		if span := lineOf(w.repo, v); span.Path != "" {
			u.at.Filename, u.at.Start.Line = span.Path, span.Line
		}
		w.image(v, u, len(u.ignored) > 0)
	})
}

type pairPin struct{ name, tag *value }

// located adds a pair with the place of its tag as its use.
func (w *walker) located(p pairPin, u use) {
	if at := lineOf(w.repo, p.tag); at.Path != "" {
		u.at.Filename, u.at.Start.Line = at.Path, at.Line
	}
	w.pair(p.name, p.tag, u, len(u.ignored) > 0)
}

// lineOf is where a value is written, as far as that is one place.
func lineOf(r *repo, v *value) pin.Location {
	for v.kind == kindChoice {
		v = v.items[0]
	}
	for _, p := range v.parts {
		if f := r.files[p.path]; p.path != "" && f != nil {
			return pin.Location{Path: p.path, Line: f.line(p.start)}
		}
	}
	return pin.Location{}
}

// pairOf takes {registry, repository, tag, digest} and returns the keys it took.
func (w *walker) pairOf(v *value, key string, u use) []string {
	tag, digest := v.get("tag"), v.get("digest")
	repository := v.get("repository")
	nameKey := "repository"
	if repository == nil && isImageKey(key) {
		for _, k := range []string{"name", "image", "repo", "uri"} {
			if r := v.get(k); r != nil && r.kind == kindString {
				repository, nameKey = r, k
				break
			}
		}
	}
	if tag == nil || tag.kind == kindObject || tag.kind == kindList || repository == nil && !isImageKey(key) {
		return nil
	}
	if s, ok := tag.known(); ok && s == "" || tag.kind == kindNull {
		return nil // the chart's default
	}
	if repository == nil {
		// Only the tag is set: the image is the chart's own.
		w.ownTag(tag, u)
		return []string{"tag"}
	}
	name := repository
	if registry := v.get("registry"); registry != nil && registry.kind == kindString {
		if s, ok := registry.known(); !ok || s != "" {
			name = concat(registry, text("/"), repository)
		}
	}
	if digest != nil && digest.kind == kindString {
		if s, ok := digest.known(); ok && s != "" {
			tag = concat(tag, text("@"), digest)
		}
	}
	w.located(pairPin{name, tag}, u)
	return []string{"tag", "digest", "registry", nameKey}
}

// ownTag is a tag set for an image that the chart names. Image stays empty;
// Chart says whose it is.
func (w *walker) ownTag(tag *value, u use) {
	if u.chart.Name == "" {
		return
	}
	tag.each(func(tag *value) {
		p := pin.Pin{Kind: pin.KindImage, Detail: "the chart's own image"}
		switch tag.kind {
		case kindString:
			s := tag.flatten()
			t, digest := [2]int{0, len(s)}, [2]int{}
			if i := strings.IndexByte(s, '@'); i >= 0 {
				t, digest = [2]int{0, i}, [2]int{i + 1, len(s)}
			}
			w.version(&p, tag, t, digest)
		case kindUnknown:
			p.Reason, p.Detail = tag.reason, tag.detail
		case kindNull, kindObject, kindList, kindChoice:
			return
		}
		u := u
		if at := lineOf(w.repo, tag); at.Path != "" {
			u.at.Filename, u.at.Start.Line = at.Path, at.Line
		}
		w.add(p, u, len(u.ignored) > 0)
	})
}
