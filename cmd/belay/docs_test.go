package main

import (
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// page is one Markdown file of the project.
type page struct {
	path    string // from the root, slash-separated
	links   []string
	anchors map[string]bool
	blocks  []block
}

// block is a block of code in a page.
type block struct {
	language string // what stands behind the fence, or ""
	text     string
}

var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))

// readPages reads every Markdown file under the root.
func readPages(t *testing.T, root string) map[string]*page {
	t.Helper()
	pages := map[string]*page{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".md" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		pages[filepath.ToSlash(name)] = parsePage(filepath.ToSlash(name), data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

func parsePage(name string, source []byte) *page {
	p := &page{path: name, anchors: map[string]bool{}}
	doc := markdown.Parser().Parse(text.NewReader(source))
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			p.links = append(p.links, string(n.Destination))
		case *ast.Image:
			p.links = append(p.links, string(n.Destination))
		case *ast.Heading:
			p.anchors[slug(string(n.Lines().Value(source)))] = true
		case *ast.FencedCodeBlock:
			p.blocks = append(p.blocks, block{string(n.Language(source)), string(n.Lines().Value(source))})
		case *ast.CodeBlock:
			p.blocks = append(p.blocks, block{"", string(n.Lines().Value(source))})
		}
		return ast.WalkContinue, nil
	})
	return p
}

// unslugged is what GitHub leaves out of a heading's anchor.
var unslugged = regexp.MustCompile(`[^\pL\pN _-]`)

// slug is the anchor that GitHub gives a heading: "What to do, when" is
// "what-to-do-when".
func slug(heading string) string {
	return strings.ReplaceAll(unslugged.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), ""), " ", "-")
}

// TestDocsLinks holds every link within the project to a file and a heading
// that are there. Addresses elsewhere are held to their form: no test asks the
// outside.
func TestDocsLinks(t *testing.T) {
	root := filepath.Join("..", "..")
	pages := readPages(t, root)
	for _, p := range pages {
		for _, link := range p.links {
			u, err := url.Parse(link)
			if err != nil {
				t.Errorf("%s: link %q: %v", p.path, link, err)
				continue
			}
			if u.Scheme != "" {
				if u.Scheme != "https" && u.Scheme != "mailto" || u.Scheme == "https" && u.Host == "" {
					t.Errorf("%s: link %q: want https", p.path, link)
				}
				continue
			}
			target := p.path
			if u.Path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(p.path), u.Path))
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: link %q: there is no %s", p.path, link, target)
				continue
			}
			if u.Fragment == "" {
				continue
			}
			if to := pages[target]; to == nil || !to.anchors[u.Fragment] {
				t.Errorf("%s: link %q: %s has no heading for #%s", p.path, link, target, u.Fragment)
			}
		}
	}
}

// TestDocsCommands holds every belay command line in the documentation, and in
// the examples of --help, to commands and flags that exist.
func TestDocsCommands(t *testing.T) {
	lines := map[string][]string{}
	for _, p := range readPages(t, filepath.Join("..", "..")) {
		for _, b := range p.blocks {
			if b.language == "" || b.language == "sh" || b.language == "console" {
				lines[p.path] = append(lines[p.path], commandLines(b.text)...)
			}
		}
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		lines[c.CommandPath()+" --help"] = commandLines(c.Example)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
	n := 0
	for place, list := range lines {
		for _, line := range list {
			n++
			if err := parses(line); err != nil {
				t.Errorf("%s: %s: %v", place, line, err)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d command lines were found: does the search still work?", n)
	}
}

// commandLines finds the command lines of belay in a block of shell: variables
// before it and what follows "|", ">", "&" or a comment are left out.
//
//	BELAY_DIUN_TOKEN=x belay status --json | jq .   →  status --json
//	bin/belay pins --repo ~/home-ops                →  pins --repo ~/home-ops
func commandLines(text string) []string {
	var out []string
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		if m := commandLine.FindStringSubmatch(strings.TrimPrefix(strings.TrimSpace(line), "$ ")); m != nil {
			args := m[1]
			if at := strings.IndexAny(args, "|>&;#"); at >= 0 {
				args = args[:at]
			}
			args, _, _ = strings.Cut(args, "   ") // an explanation behind it
			out = append(out, strings.TrimSpace(args))
		}
	}
	return out
}

var commandLine = regexp.MustCompile(`^(?:[A-Z_]+=\S+ +)*(?:(?:\S*/)?belay|go run \./cmd/belay) +(.+)$`)

// parses reports whether a command line names a command and its flags rightly.
// What a command makes of its arguments is its own tests' business.
func parses(line string) error {
	c, rest, err := newRoot().Find(strings.Fields(line))
	if err != nil {
		return err
	}
	if !c.HasParent() {
		return fmt.Errorf("there is no such command")
	}
	return c.ParseFlags(rest)
}

// TestDocsGettingStarted walks docs/getting-started.md as a newcomer would: its
// blocks marked "sh" run in order in one shell, in a copy of the project as git
// knows it, and each has to succeed.
func TestDocsGettingStarted(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out the walk through docs/getting-started.md, which builds belay")
	}
	const path = "docs/getting-started.md"
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	var script []string
	for _, b := range readPages(t, root)[path].blocks {
		if b.language == "sh" {
			for line := range strings.Lines(b.text) {
				script = append(script, strings.TrimSpace(line))
			}
		}
	}
	const most = 10 // commands to the first pull request
	if n := len(script); n == 0 || n > most {
		t.Fatalf("%s has %d commands to the first pull request, want 1 to %d", path, n, most)
	}
	dir := t.TempDir()
	// The clone is of this very tree: git knows no addresses outside here.
	shell := "set -eux\ngit() { command git clone --quiet " + root + " belay; }\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n" + strings.Join(script, "\n")
	shell = strings.ReplaceAll(shell, "127.0.0.1:8080", freeAddress(t))
	c := exec.CommandContext(t.Context(), "bash", "-c", shell)
	c.Dir = dir
	c.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"), "GOCACHE="+goEnv(t, "GOCACHE"), "GOFLAGS=-mod=readonly", "GITHUB_API_URL=http://127.0.0.1:1")
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "acme/home-ops#1") {
		t.Errorf("no pull request was opened")
	}
}

// freeAddress is one at which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
