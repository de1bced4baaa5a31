package sandbox

import (
	"encoding/base64"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// release is one release of a public repository.
type release struct {
	id        int64
	tag, body string
	at        time.Time
}

// AddUpstream makes a public repository that the App is not installed on, such
// as that of a project whose images are in use. Everybody may read it.
func (g *GitHub) AddUpstream(owner, name string, files map[string]string) (*Repository, error) {
	r, err := g.makeRepository(owner, name, func(dir string) (string, error) { return commit(dir, "ana", "", "start", files) })
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	r.public = true
	return r, nil
}

// Release publishes a release of the default branch, with its tag.
func (r *Repository) Release(tag, body string) error {
	defer r.lock()()
	if _, err := git(r.dir, nil, nil, "tag", tag, defaultBranch); err != nil {
		return err
	}
	r.published = append(r.published, release{id: r.g.id(), tag: tag, body: body, at: r.g.opts.Now()})
	return nil
}

func (r *Repository) fields() object {
	return object{"id": r.id, "name": r.name, "full_name": r.FullName(), "default_branch": defaultBranch, "owner": object{"login": r.owner}, "private": !r.public,
		"html_url": r.g.URL() + "/" + r.FullName(), "allow_squash_merge": !r.noSquash, "archived": r.archived}
}

func (c *call) repository() (int, any, error) {
	return http.StatusOK, with(c.example(200), c.repo.fields()), nil
}

func (c *call) releases() (int, any, error) {
	list := []any{}
	for _, v := range slices.Backward(c.repo.published) {
		list = append(list, with(c.example(200), object{"id": v.id, "tag_name": v.tag, "name": v.tag, "body": v.body, "draft": false, "prerelease": false,
			"html_url": c.g.URL() + "/" + c.repo.FullName() + "/releases/tag/" + v.tag, "created_at": stamp(v.at), "published_at": stamp(v.at), "assets": []any{}}))
	}
	return http.StatusOK, c.paged(list), nil
}

func (c *call) tags() (int, any, error) {
	out, err := git(c.repo.dir, nil, nil, "for-each-ref", "--sort=-refname", "--format=%(refname:short) %(objectname)", "refs/tags")
	if err != nil {
		return 0, nil, err
	}
	list := []any{}
	for line := range strings.Lines(out) {
		name, sha, _ := strings.Cut(strings.TrimSpace(line), " ")
		list = append(list, with(c.example(200), object{"name": name, "commit": object{"sha": sha}}))
	}
	return http.StatusOK, c.paged(list), nil
}

// contents lists a directory of the default branch, or shows a file.
func (c *call) contents() (int, any, error) {
	dir := strings.Trim(c.r.PathValue("path"), "/")
	at := defaultBranch + ":" + dir
	if kind, err := git(c.repo.dir, nil, nil, "cat-file", "-t", at); err != nil {
		return 0, nil, notFound
	} else if kind == "blob" {
		return c.file(at, dir)
	}
	out, err := git(c.repo.dir, nil, nil, "ls-tree", "-l", "-z", at)
	if err != nil {
		return 0, nil, err
	}
	list := []any{}
	for entry := range strings.SplitSeq(strings.TrimRight(out, "\x00"), "\x00") {
		meta, name, ok := strings.Cut(entry, "\t")
		f := strings.Fields(meta) // mode, type, object, size
		if !ok || len(f) != 4 {
			continue
		}
		kind, size := "file", 0
		if f[1] == "tree" {
			kind = "dir"
		}
		for _, d := range f[3] {
			if d >= '0' && d <= '9' {
				size = size*10 + int(d-'0')
			}
		}
		list = append(list, with(c.example(200), object{"type": kind, "name": name, "path": path.Join(dir, name), "sha": f[2], "size": size}))
	}
	return http.StatusOK, list, nil
}

func (c *call) file(at, name string) (int, any, error) {
	text, err := git(c.repo.dir, nil, nil, "cat-file", "blob", at)
	if err != nil {
		return 0, nil, err
	}
	sha, err := git(c.repo.dir, nil, nil, "rev-parse", at)
	if err != nil {
		return 0, nil, err
	}
	op := c.g.contract.operation(c.r.Method, c.path).Responses.Status(200).Value.Content["application/json"]
	base, _ := op.Examples["response-if-content-is-a-file"].Value.Value.(object)
	return http.StatusOK, with(base, object{"type": "file", "name": path.Base(name), "path": name, "sha": sha, "size": len(text), "encoding": "base64",
		"content": base64.StdEncoding.EncodeToString([]byte(text))}), nil
}

// blob answers with the file itself where that is asked for.
func (c *call) blob() (int, any, error) {
	sha := c.r.PathValue("file_sha")
	text, err := git(c.repo.dir, nil, nil, "cat-file", "blob", sha)
	if err != nil {
		return 0, nil, notFound
	}
	if strings.Contains(c.r.Header.Get("Accept"), "raw") {
		c.g.contract.count(c.r.Method + " " + c.path)
		return http.StatusOK, raw(text), nil
	}
	return http.StatusOK, with(c.example(200), object{"sha": sha, "size": len(text), "encoding": "base64", "content": base64.StdEncoding.EncodeToString([]byte(text))}), nil
}
