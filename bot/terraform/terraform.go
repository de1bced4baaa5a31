// Package terraform finds version pins in a Terraform repository and writes new
// versions into them.
//
// In goes a Tree (a work tree or a revision, nothing is checked out); out come
// an Inventory of pins, followed or not with the reason, and byte splices that
// are verified by parsing and comparing the result. It never runs Terraform and
// never writes a file. See SPEC section 4.
package terraform

import (
	"context"

	"github.com/belaybot/belay/rules/pin"
)

// File is a file of a tree.
type File struct {
	Path string // slash-separated, from the root
	Size int64  // bytes
	Link string // target of a symbolic link, else ""
}

// Tree is a tree of files that does not change while it is read. ReadFile is called by several goroutines at once.
type Tree interface {
	// Files lists every regular file and symbolic link, sorted by path, without .git and .terraform.
	Files(ctx context.Context) ([]File, error)
	// ReadFile returns the bytes of a regular file. It returns an error wrapping fs.ErrNotExist for a path that is not there.
	ReadFile(path string) ([]byte, error)
}

// Options say how to look.
type Options struct {
	Roots    []string // globs of service directories; empty: every root module
	Parallel int      // files read at once; 0: number of CPUs
	// Repository names the service of a root module at the top of the tree; RootName when empty.
	Repository string
}

// RootName is the service of a root module at the top of a tree, where the name of
// the repository is not known.
const RootName = "root"

// Service is a directory that is upgraded as one.
type Service struct {
	Name      string
	Directory string
	Files     []string // every Terraform and values file that its pins or modules come from, sorted
}

// Problem is a file that could not be read as it should.
type Problem struct {
	At   pin.Location
	Text string // "symbolic link leaves the repository", "51 MB: larger than 8 MB", "Invalid expression: …"
}

// Inventory is what a tree holds.
type Inventory struct {
	Services []Service
	Pins     []pin.Pin // sorted by service, path, line, address
	Problems []Problem

	repo   *repo              // as scanned, for Apply and Uses
	places map[string]*placed // by service, for Where
}
