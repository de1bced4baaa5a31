// Package page is what people see of belay in a browser: templates, style and
// pictures. It makes HTML of values and does nothing else: who may see what, and
// what a button does, is the server's.
//
// All text that is not belay's own (names, notes, logs, reasons) goes through
// the engine of html/template, so that it is shown and never obeyed. The page is whole without
// scripts; those it has only keep it up to date. See SPEC sections 15 and 17.
package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"sync"
	"time"

	template "github.com/DataDog/datadog-agent/pkg/template/html"
)

//go:embed static/*.js static/*.css static/*.svg
var static embed.FS

//go:embed templates/*.html
var templates embed.FS

// Asset is a file that pages refer to by Href, which changes with its content,
// so that browsers may keep it for ever.
type Asset struct {
	Name, Href, Type string
	Content          []byte
}

// Assets are all assets by their Href.
var Assets = sync.OnceValue(func() map[string]Asset {
	out := map[string]Asset{}
	names, err := fs.Glob(static, "static/*")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	types := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
	for _, name := range names {
		content, err := static.ReadFile(name)
		if err != nil {
			panic(err) // embedded
		}
		sum := sha256.Sum256(content)
		base := path.Base(name)
		a := Asset{Name: base, Href: "/static/" + hex.EncodeToString(sum[:6]) + "/" + base, Type: types[path.Ext(base)], Content: content}
		out[a.Href] = a
	}
	return out
})

func href(name string) (string, error) {
	for h, a := range Assets() {
		if a.Name == name {
			return h, nil
		}
	}
	return "", fmt.Errorf("no asset %q", name)
}

// Frame is what is around every page.
type Frame struct {
	Title  string
	Login  string // who has signed in; "" for nobody
	Open   bool   // nobody signs in: --dashboard-auth none
	Path   string // of the page, for the menu
	Self   string // address under which the page is fetched anew; "" when it does not change by itself
	Live   string // address of the stream that says when; "" for none
	Now    time.Time
	GitHub string // address for people, without a slash at its end
}

var parsed = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"asset": href, "spans": Spans, "ago": Ago, "lasts": Lasts, "stamp": stamp, "clock": clock, "plural": plural, "safeURL": safeURL,
		"pull": pullURL, "commit": commitURL, "short": short, "never": time.Time.IsZero, "add": func(a, b int) int { return a + b }, "title": title,
		"pair": func(now time.Time, items []Item) Rows { return Rows{now, items} }, "one": func(i *Item) []Item { return []Item{*i} }, "pathEscape": url.PathEscape,
	}).ParseFS(templates, "templates/*.html"))
})

// Render writes one page: list, upgrade, history, skipped, repository, signin
// or problem, each with its view.
func Render(w io.Writer, name string, view any) error {
	return parsed().ExecuteTemplate(w, name+".html", view)
}
