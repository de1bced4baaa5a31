// Command openapi cuts GitHub's descriptions of its API down to what belay uses
// and writes them into bot/sandbox/contract, with a README that says where each
// came from and what it holds.
//
//	npm pack @octokit/openapi @octokit/openapi-webhooks @octokit/webhooks-examples @octokit/graphql-schema
//	go run ./hack/openapi -dir DIRECTORY_OF_THE_PACKAGES
//
// It is run by hand when a new version of the descriptions is wanted, or when
// belay calls something new (lists.go). Its test holds the committed files
// against the packages.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// source is a package of npm's, the file in it that is read, and what becomes of it.
type source struct {
	file    string // that is written
	pkg     string
	path    string // in the package
	convert func([]byte) ([]byte, error)
}

var sources = []source{
	{"rest.json", "@octokit/openapi", "generated/api.github.com.json", func(b []byte) ([]byte, error) { return trim(b, operations) }},
	{"webhooks.json", "@octokit/openapi-webhooks", "generated/api.github.com.json", trimWebhooks},
	{"examples.json", "@octokit/webhooks-examples", "api.github.com/index.json", examples},
	{"schema.graphql", "@octokit/graphql-schema", "schema.graphql", trimSchema},
}

func main() {
	dir := flag.String("dir", ".", "directory that holds the packages as npm pack leaves them")
	out := flag.String("out", "bot/sandbox/contract", "directory to write to")
	flag.Parse()
	if err := run(*dir, *out); err != nil {
		log.Fatal(err)
	}
}

func run(dir, out string) error {
	files, err := build(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		size, err := write(filepath.Join(out, f.name+".gz"), f.data)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d kB, %d kB compressed\n", f.name, len(f.data)>>10, size>>10)
	}
	return os.WriteFile(filepath.Join(out, "README.md"), []byte(readme(files)), 0o644)
}

// made is one file of the contract with its origin.
type made struct {
	name, pkg, version string
	data               []byte
}

func (m made) sum() string {
	sum := sha256.Sum256(m.data)
	return hex.EncodeToString(sum[:])
}

// build makes the files from the packages in a directory.
func build(dir string) ([]made, error) {
	var out []made
	for _, s := range sources {
		name, version, err := newest(dir, s.pkg)
		if err != nil {
			return nil, err
		}
		data, err := read(name, "package/"+s.path)
		if err != nil {
			return nil, err
		}
		if data, err = s.convert(data); err != nil {
			return nil, fmt.Errorf("%s %s: %w", s.pkg, version, err)
		}
		out = append(out, made{s.file, s.pkg, version, data})
	}
	return out, nil
}

// tarball is how npm pack names a package: "@octokit/openapi" at 1.2.3 is
// "octokit-openapi-1.2.3.tgz".
func tarball(pkg, version string) string {
	return strings.ReplaceAll(strings.TrimPrefix(pkg, "@"), "/", "-") + "-" + version + ".tgz"
}

// newest finds the newest tarball of a package.
func newest(dir, pkg string) (name, version string, err error) {
	names, err := filepath.Glob(filepath.Join(dir, tarball(pkg, "[0-9]*")))
	if err != nil || len(names) == 0 {
		return "", "", fmt.Errorf("%s: no %s: run npm pack %s there", dir, tarball(pkg, "VERSION"), pkg)
	}
	name = slices.Max(names)
	prefix, suffix, _ := strings.Cut(tarball(pkg, "*"), "*")
	return name, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), prefix), suffix), nil
}

// read takes one file out of a tarball.
func read(name, path string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: it holds no %s", name, path)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if h.Name == path {
			return io.ReadAll(t)
		}
	}
}

func write(name string, data []byte) (size int, err error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return 0, err
	}
	if _, err := z.Write(data); err != nil {
		return 0, err
	}
	if err := z.Close(); err != nil {
		return 0, err
	}
	return b.Len(), os.WriteFile(name, b.Bytes(), 0o644)
}

// readme says where the files came from. The sums are those of the uncompressed files.
func readme(files []made) string {
	var b strings.Builder
	b.WriteString("# GitHub's descriptions of its API\n\nCut down by `go run ./hack/openapi` to what belay uses, from these npm packages, all under the MIT license. The test of\n" +
		"`hack/openapi` makes them again and compares.\n\n| file | package | version | SHA-256, uncompressed |\n| --- | --- | --- | --- |\n")
	for _, f := range files {
		fmt.Fprintf(&b, "| %s.gz | %s | %s | %s |\n", f.name, f.pkg, f.version, f.sum())
	}
	return b.String()
}
