package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-github/v60/github"

	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/version"
)

// maxPages bounds how far back releases and tags are read: 2,000 of them.
const maxPages = 20

// Notes returns the notes of a repository between two versions: its GitHub
// releases, or the sections of its changelog where there are none or they are
// empty. A repository without any is Notes with no Releases, not an error. See
// SPEC section 6.
func (c *Client) Notes(ctx context.Context, repo string, from, to version.Tag) (Notes, error) {
	owner, name, ok := strings.Cut(repo, "/")
	if !ok {
		return Notes{}, fmt.Errorf("repository %q: write owner/name", repo)
	}
	info, _, err := c.github.Repositories.Get(ctx, owner, name)
	if err != nil {
		return Notes{}, ask(err)
	}
	// A renamed repository answers under its new name.
	out := Notes{Repository: info.GetFullName(), URL: info.GetHTMLURL()}
	owner, name, _ = strings.Cut(out.Repository, "/")
	all, err := c.releases(ctx, owner, name, from)
	if err != nil {
		return out, err
	}
	out.Releases = notes.Between(all, from, to, to.Component())
	if len(out.Releases) > 0 {
		out.From = "GitHub releases"
		// A tag in between that was never released may hold anything.
		if out.Missing, err = c.unmentioned(ctx, owner, name, from, to, out.Releases); err != nil {
			return out, err
		}
		if !slices.ContainsFunc(out.Releases, empty) {
			return out, nil
		}
	}
	file, text, err := c.changelog(ctx, owner, name)
	if err != nil {
		return out, err
	}
	sections := notes.Between(notes.Split(text), from, to, "")
	switch {
	case len(out.Releases) > 0:
		fill(out.Releases, sections)
	case len(sections) > 0:
		for i := range sections {
			sections[i].URL = out.URL + "/blob/HEAD/" + file
		}
		out.Releases, out.From = sections, file
		out.Missing, err = c.unmentioned(ctx, owner, name, from, to, sections)
	}
	return out, err
}

// empty reports whether a release says nothing of its own: no text, or only
// that the changelog has it.
func empty(r notes.Release) bool {
	body := strings.ToLower(strings.TrimSpace(r.Body))
	return body == "" || len(body) < 200 && !strings.Contains(body, "\n- ") && !strings.Contains(body, "\n* ") && (strings.Contains(body, "changelog") || strings.Contains(body, "change log"))
}

// fill gives releases without text the changelog's.
func fill(releases, sections []notes.Release) {
	byKey := map[string]string{}
	for _, s := range sections {
		if t, err := version.Parse(s.Tag); err == nil {
			byKey[t.Key()] = s.Body
		}
	}
	for i, r := range releases {
		if t, err := version.Parse(r.Tag); err == nil && empty(r) && byKey[t.Key()] != "" {
			releases[i].Body = byKey[t.Key()]
		}
	}
}

// releases lists a repository's releases, newest first, back to `from`.
func (c *Client) releases(ctx context.Context, owner, name string, from version.Tag) ([]notes.Release, error) {
	var out []notes.Release
	opts := &github.ListOptions{PerPage: 100}
	for range maxPages {
		page, resp, err := c.github.Repositories.ListReleases(ctx, owner, name, opts)
		if err != nil {
			return nil, ask(err)
		}
		newer := false
		for _, r := range page {
			t, err := version.Parse(r.GetTagName())
			newer = newer || err != nil || version.CompareReleases(t, from) > 0
			out = append(out, notes.Release{Tag: r.GetTagName(), Name: r.GetName(), Body: r.GetBody(), URL: r.GetHTMLURL(),
				Published: r.GetPublishedAt().Time, Prerelease: r.GetPrerelease(), Draft: r.GetDraft()})
		}
		if resp.NextPage == 0 || !newer {
			break
		}
		opts.Page = resp.NextPage
	}
	return out, nil
}

// changelogs are the names of changelogs, lower case, most telling first.
var changelogs = []string{"changelog.md", "changelog", "changelog.rst", "changelog.txt", "changes.md", "changes", "changes.rst",
	"history.md", "history", "history.rst", "releases.md", "release-notes.md", "release_notes.md", "news.md", "news", "news.rst"}

// changelog finds and reads the changelog of the default branch, at the top or in docs/.
func (c *Client) changelog(ctx context.Context, owner, name string) (path, text string, err error) {
	for _, dir := range []string{"", "docs"} {
		_, listing, _, err := c.github.Repositories.GetContents(ctx, owner, name, dir, nil)
		if err = ask(err); errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return "", "", err
		}
		docs := false
		for _, want := range changelogs {
			for _, f := range listing {
				docs = docs || f.GetType() == "dir" && f.GetName() == "docs"
				if f.GetType() != "file" || strings.ToLower(f.GetName()) != want {
					continue
				}
				raw, _, err := c.github.Git.GetBlobRaw(ctx, owner, name, f.GetSHA())
				return f.GetPath(), string(raw), ask(err)
			}
		}
		if dir == "" && !docs {
			break
		}
	}
	return "", "", nil
}

// unmentioned are the tags between the versions, pre-releases aside, that the
// releases or the changelog's sections do not speak of.
func (c *Client) unmentioned(ctx context.Context, owner, name string, from, to version.Tag, sections []notes.Release) ([]string, error) {
	var tagged []notes.Release
	opts := &github.ListOptions{PerPage: 100}
	for range maxPages {
		page, resp, err := c.github.Repositories.ListTags(ctx, owner, name, opts)
		if errors.Is(ask(err), ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, ask(err)
		}
		for _, t := range page {
			tagged = append(tagged, notes.Release{Tag: t.GetName()})
		}
		if resp.NextPage == 0 {
			break
		}
		opts.Page = resp.NextPage
	}
	have := map[string]bool{}
	for _, s := range sections {
		if t, err := version.Parse(s.Tag); err == nil {
			have[t.Key()] = true
		}
	}
	var out []string
	for _, r := range notes.Between(tagged, from, to, to.Component()) {
		if t, err := version.Parse(r.Tag); err == nil && !t.Prerelease() && !have[t.Key()] {
			out = append(out, r.Tag)
		}
	}
	return out, nil
}
