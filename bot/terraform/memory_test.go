package terraform_test

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/rules/pin"
)

// memory is a tree of files in memory; "-> x" as content is a symbolic link.
type memory map[string]string

func (m memory) Files(context.Context) ([]terraform.File, error) {
	var out []terraform.File
	for p, content := range m {
		f := terraform.File{Path: p, Size: int64(len(content))}
		f.Link, _ = strings.CutPrefix(content, "-> ")
		if f.Link == content {
			f.Link = ""
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b terraform.File) int { return cmp.Compare(a.Path, b.Path) })
	return out, nil
}

func (m memory) ReadFile(p string) ([]byte, error) {
	content, ok := m[p]
	if !ok {
		return nil, fmt.Errorf("%s: %w", p, fs.ErrNotExist)
	}
	return []byte(content), nil
}

// tree reads files in txtar form: "-- main.tf --" and what follows.
func tree(archive string) memory {
	m := memory{}
	for _, f := range txtar.Parse([]byte(archive)).Files {
		m[f.Name] = string(f.Data)
	}
	return m
}

func scan(t testing.TB, m memory, roots ...string) *terraform.Inventory {
	t.Helper()
	inv, err := terraform.Scan(context.Background(), m, terraform.Options{Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// line is a pin in one line: what it pins, the version, the shape, the place, why not.
func line(p pin.Pin) string {
	name := "chart " + p.Chart.Name
	if p.Kind == pin.KindImage {
		name = p.Image.Familiar()
		if p.Image.Repository == "" {
			name = "?"
			if p.Chart.Name != "" {
				name = "image of chart " + p.Chart.Name
			}
		}
	}
	at := fmt.Sprintf("%s:%d", p.Span.Path, p.Span.Line)
	if p.Span.Path == "" {
		at = fmt.Sprintf("(%s:%d)", p.Use.Path, p.Use.Line)
	}
	out := fmt.Sprintf("%s: %s %s | %s | %s", p.Service, name, cmp.Or(p.Version, "-"), cmp.Or(string(p.Shape), "-"), at)
	if p.Prefix+p.Suffix != "" {
		out += fmt.Sprintf(" | %s*%s", p.Prefix, p.Suffix)
	}
	if p.Reason != pin.Followed {
		out += " | " + string(p.Reason)
	}
	if p.IgnoreChanges {
		out += " | ignored by Terraform"
	}
	return out
}

func lines(inv *terraform.Inventory) []string {
	var out []string
	for _, p := range inv.Pins {
		out = append(out, line(p))
	}
	return out
}
