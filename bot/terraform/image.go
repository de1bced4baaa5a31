package terraform

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/version"
)

// image makes the pin of an image reference, or one for each alternative.
func (w *walker) image(v *value, u use, ignored bool) {
	v.each(func(v *value) {
		switch v.kind {
		case kindNull:
		case kindString:
			if s, ok := v.known(); ok && strings.TrimSpace(s) == "" {
				return
			}
			w.add(w.reference(v), u, ignored)
		case kindUnknown:
			w.add(pin.Pin{Kind: pin.KindImage, Reason: v.reason, Detail: v.detail}, u, ignored)
		case kindObject, kindList, kindChoice:
			w.add(pin.Pin{Kind: pin.KindImage, Reason: pin.NotAnImage, Detail: "an object where a reference is expected"}, u, ignored)
		}
	})
}

// pair makes the pin of an image whose name and tag are written apart.
func (w *walker) pair(name, tag *value, u use, ignored bool) {
	name.each(func(name *value) {
		tag.each(func(tag *value) {
			if tag.kind == kindNull || name.kind == kindNull {
				return
			}
			w.add(w.reference(concat(name, text(":"), tag)), u, ignored)
		})
	})
}

// reference reads "name:tag@digest" and finds the bytes that fix the version.
func (w *walker) reference(v *value) pin.Pin {
	p := pin.Pin{Kind: pin.KindImage}
	s := v.flatten()
	name, tag, digest := split(s)
	if why := v.firstUnknown(0, name); why != nil {
		// The tag may be known all the same; it is not known whose.
		p.Reason, p.Detail = why.reason, "the image's name is "+string(why.reason)+": "+why.detail
		return p
	}
	ref, err := image.Parse(s[:name])
	if err != nil {
		p.Reason, p.Detail = pin.NotAnImage, err.Error()
		return p
	}
	p.Image = ref
	w.version(&p, v, tag, digest)
	return p
}

// split finds the parts of a reference: the end of its name, and where tag and digest lie.
func split(s string) (name int, tag, digest [2]int) {
	name = len(s)
	if i := strings.IndexByte(s, '@'); i >= 0 {
		digest = [2]int{i + 1, len(s)}
		name = i
	}
	if i := strings.LastIndexByte(s[:name], ':'); i > strings.LastIndexByte(s[:name], '/') {
		tag = [2]int{i + 1, name}
		name = i
	}
	return name, tag, digest
}

// firstUnknown is the first part between two offsets that is not known.
func (v *value) firstUnknown(from, to int) *value {
	for _, p := range v.slice(from, to).parts {
		if p.unknown != nil {
			return p.unknown
		}
	}
	return nil
}

// version fills in the tag, the digest and their places, or why they are not followed.
func (w *walker) version(p *pin.Pin, v *value, tag, digest [2]int) {
	s := v.flatten()
	if digest[1] > digest[0] {
		d := v.slice(digest[0], digest[1])
		span, why := w.span(d, pin.RoleDigest)
		if why != "" {
			p.Reason, p.Detail = pin.Computed, "the digest is "+why
			return
		}
		p.Image.Digest, p.Digest = s[digest[0]:digest[1]], span
	}
	if tag[1] == tag[0] {
		p.Reason = pin.NoTag
		if p.Digest != nil {
			p.Reason = pin.DigestOnly
		}
		w.place(p, v)
		return
	}
	t := v.slice(tag[0], tag[1])
	if why := t.firstUnknown(0, tag[1]-tag[0]); why != nil {
		p.Reason, p.Detail = why.reason, why.detail
		return
	}
	p.Version = s[tag[0]:tag[1]]
	p.Image.Tag = p.Version
	w.fix(p, t)
	switch {
	case p.Reason != pin.Followed:
	case version.Floating(p.Version):
		p.Reason = pin.Floating
	case !image.ValidTag(p.Version):
		p.Reason, p.Detail = pin.NotAnImage, fmt.Sprintf("%q is not a tag", p.Version)
		if image.ValidTag(strings.TrimSpace(p.Version)) { // as file() gives it
			p.Detail += ": put trimspace() around it"
		}
	default:
		if _, err := version.Parse(p.Version); err != nil {
			p.Reason = pin.Unversioned
		}
	}
}

// fix finds the one run of the tag that holds its version, and what stands around it.
func (w *walker) fix(p *pin.Pin, tag *value) {
	var holder = -1
	for i, q := range tag.parts {
		if !strings.ContainsAny(q.text, "0123456789") {
			continue
		}
		switch {
		case holder < 0:
			holder = i
		case numbered.MatchString(q.text) && numbered.MatchString(tag.parts[holder].text):
			p.Reason, p.Detail = pin.Computed, "the version is put together from several places"
			return
		case numbered.MatchString(q.text) && !numbered.MatchString(tag.parts[holder].text):
			holder = i
		}
	}
	if holder < 0 {
		holder = 0
	}
	if len(tag.parts) == 0 {
		return
	}
	span, why := w.span(&value{kind: kindString, parts: tag.parts[holder : holder+1]}, pin.RoleTag)
	if why != "" {
		p.Reason, p.Detail = pin.Computed, "the tag is "+why
		return
	}
	p.Span, p.Shape = *span, tag.parts[holder].shape
	for _, q := range tag.parts[:holder] {
		p.Prefix += q.text
	}
	for _, q := range tag.parts[holder+1:] {
		p.Suffix += q.text
	}
}

// numbered matches text that begins with a number of a version: "1.2.3", "v1",
// "2026.2"; not "-cuda12".
var numbered = regexp.MustCompile(`^[vV]?\d|^[A-Za-z]+[-.]\d|^\.\d`)

// place notes where an image without a version is written.
func (w *walker) place(p *pin.Pin, v *value) {
	if len(v.parts) == 0 {
		return
	}
	if span, why := w.span(&value{kind: kindString, parts: v.parts[:1]}, pin.RoleTag); why == "" {
		p.Span, p.Shape = *span, v.parts[0].shape
	}
}

// span is where a string stands, when it stands in one place as it is.
func (w *walker) span(v *value, role pin.Role) (*pin.Span, string) {
	joined := join(v.parts)
	if len(joined) != 1 {
		return nil, "put together from several places"
	}
	q := joined[0]
	f := w.repo.files[q.path]
	if q.path == "" || f == nil {
		return nil, "made by an expression"
	}
	return &pin.Span{Path: q.path, Line: f.line(q.start), Start: q.start, End: q.start + len(q.text), Text: q.text, Role: role}, ""
}

// join puts neighbouring parts of one place together again.
func join(parts []part) []part {
	var out []part
	for _, p := range parts {
		if n := len(out); n > 0 && p.unknown == nil && out[n-1].unknown == nil && p.path != "" && p.path == out[n-1].path && p.start == out[n-1].start+len(out[n-1].text) {
			out[n-1].text += p.text
			continue
		}
		out = append(out, p)
	}
	return out
}

// add completes a pin with what is known of its use and keeps it.
func (w *walker) add(p pin.Pin, u use, ignored bool) {
	f := w.repo.files[u.at.Filename]
	p.Service, p.Directory, p.Address = u.service, u.directory, u.address
	p.Namespace, p.Workload = u.namespace, u.workload
	if p.Chart.Name == "" {
		p.Chart = u.chart
	}
	p.IgnoreChanges = ignored
	p.Use = pin.Location{Path: u.at.Filename, Line: u.at.Start.Line}
	if (p.Shape == pin.ShapeLiteral || p.Shape == pin.ShapeElement) && u.shape != "" {
		p.Shape = u.shape
	}
	p.IncludeTags, p.ExcludeTags = u.marks.include, u.marks.exclude
	switch {
	case u.outside:
		p.Reason, p.Detail = pin.OutsideRoots, "directory "+u.directory
	case u.disabled:
		p.Reason, p.Detail = pin.Disabled, "count is 0"
	case u.marks.disabled:
		p.Reason = pin.OptedOutDiun
	case optedOut(f, p.Use.Line), p.Span.Path != "" && optedOut(w.repo.files[p.Span.Path], p.Span.Line):
		p.Reason = pin.OptedOut
	}
	if p.Span.Path != "" && !u.outside {
		w.uses(u.service, p.Span.Path)
	}
	w.pins = append(w.pins, p)
}

// optOut matches the comment that opts a line out: "# belay:ignore",
// "// belay:ignore, too old", "/* belay:ignore */"; not `name = "belay:ignore"`.
var optOut = regexp.MustCompile(`(?:#|//|/\*).*\bbelay:ignore\b`)

// optedOut reports whether a line or the comment line above it says belay:ignore.
func optedOut(f *file, line int) bool {
	if f == nil || line < 1 {
		return false
	}
	if optOut.MatchString(f.lineText(line)) {
		return true
	}
	above := strings.TrimSpace(f.lineText(line - 1))
	comment := strings.HasPrefix(above, "#") || strings.HasPrefix(above, "//") || strings.HasPrefix(above, "/*")
	return line > 1 && comment && optOut.MatchString(above)
}
