package git

import (
	"context"
	"errors"
	"fmt"
	"io"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/client"
)

// ErrDefaultBranch means that somebody asked to write to the default branch.
// belay never does.
var ErrDefaultBranch = errors.New("belay never pushes to the default branch")

// Push brings a branch of the remote to a commit that Commit made. expect is
// where the branch has to be, "" when it must not exist; it returns *StaleError
// when it is elsewhere. A branch that is at the commit already is left alone.
func (m *Mirror) Push(ctx context.Context, sha, branch, expect string) error {
	return m.update(ctx, branch, expect, plumbing.NewHash(sha))
}

// DeleteBranch deletes a branch of the remote that is at a commit, or returns
// *StaleError when it is elsewhere. One that is gone already is no error.
func (m *Mirror) DeleteBranch(ctx context.Context, branch, expect string) error {
	return m.update(ctx, branch, expect, plumbing.ZeroHash)
}

// update moves one branch. It sends exactly the objects that its parent lacks:
// go-git's own push walks the whole history to find them.
func (m *Mirror) update(ctx context.Context, branch, expect string, to plumbing.Hash) error {
	if err := checkBranch(branch); err != nil {
		return err
	}
	endpoint, err := transport.NewEndpoint(m.remote.URL)
	if err != nil {
		return fmt.Errorf("remote: %w", err)
	}
	auth, err := m.auth(ctx)
	if err != nil {
		return err
	}
	c, err := client.NewClient(endpoint)
	if err != nil {
		return fmt.Errorf("remote: %w", err)
	}
	var method transport.AuthMethod
	if auth != nil {
		method = auth
	}
	session, err := c.NewReceivePackSession(endpoint, method)
	if err != nil {
		return fmt.Errorf("pushing to %s: %w", m.remote.URL, err)
	}
	defer session.Close()
	refs, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return fmt.Errorf("pushing to %s: %w", m.remote.URL, err)
	}
	if main, err := m.defaultBranch(ctx); err != nil || main == branch {
		return errors.Join(err, refused(branch, main))
	}
	name := plumbing.NewBranchReferenceName(branch)
	old := refs.References[name.String()]
	if old == to {
		return nil
	}
	want := plumbing.ZeroHash
	if expect != "" {
		want = plumbing.NewHash(expect)
	}
	if old != want {
		return &StaleError{Branch: branch, Want: expect, Got: known(old)}
	}
	return m.send(ctx, session, refs, &packp.Command{Name: name, Old: old, New: to})
}

func refused(branch, main string) error {
	if branch == main {
		return fmt.Errorf("%w (%s)", ErrDefaultBranch, branch)
	}
	return nil
}

func known(h plumbing.Hash) string {
	if h.IsZero() {
		return ""
	}
	return h.String()
}

func (m *Mirror) send(ctx context.Context, session transport.ReceivePackSession, refs *packp.AdvRefs, cmd *packp.Command) error {
	req := packp.NewReferenceUpdateRequestFromCapabilities(refs.Capabilities)
	if refs.Capabilities.Supports(capability.ReportStatus) {
		if err := req.Capabilities.Set(capability.ReportStatus); err != nil {
			return err
		}
	}
	req.Commands = []*packp.Command{cmd}
	if !cmd.New.IsZero() {
		repo, err := m.open()
		if err != nil {
			return err
		}
		objects, err := newObjects(repo, cmd.New)
		if err != nil {
			return err
		}
		r, w := io.Pipe()
		go func() { // ends when the pack is written or the reader is closed
			_, err := packfile.NewEncoder(w, repo.Storer, false).Encode(objects, 0)
			_ = w.CloseWithError(err)
		}()
		defer r.Close()
		req.Packfile = r
	}
	report, err := session.ReceivePack(ctx, req)
	if err != nil {
		return fmt.Errorf("pushing to %s: %w", m.remote.URL, err)
	}
	if report == nil {
		return nil
	}
	if err := report.Error(); err != nil {
		return fmt.Errorf("pushing %s to %s: %w", cmd.Name.Short(), m.remote.URL, err)
	}
	return nil
}

// newObjects are the commit itself and what its trees hold that its parent's do not.
func newObjects(repo *gogit.Repository, sha plumbing.Hash) ([]plumbing.Hash, error) {
	c, err := repo.CommitObject(sha)
	if err != nil {
		return nil, fmt.Errorf("commit %s: %w", sha, err)
	}
	parent, err := c.Parent(0)
	if err != nil {
		return nil, fmt.Errorf("parent of %s: %w", sha, err)
	}
	out := []plumbing.Hash{sha}
	var walk func(now, before plumbing.Hash) error
	walk = func(now, before plumbing.Hash) error {
		if now == before {
			return nil
		}
		out = append(out, now)
		tree, err := repo.TreeObject(now)
		if err != nil {
			return err
		}
		old := map[string]object.TreeEntry{}
		if t, err := repo.TreeObject(before); err == nil {
			for _, e := range t.Entries {
				old[e.Name] = e
			}
		}
		for _, e := range tree.Entries {
			switch {
			case e.Hash == old[e.Name].Hash || e.Mode == filemode.Submodule:
			case e.Mode == filemode.Dir:
				if err := walk(e.Hash, old[e.Name].Hash); err != nil {
					return err
				}
			default:
				out = append(out, e.Hash)
			}
		}
		return nil
	}
	return out, walk(c.TreeHash, parent.TreeHash)
}

// defaultBranch is the branch that the remote's HEAD names. It is asked once.
func (m *Mirror) defaultBranch(ctx context.Context) (string, error) {
	m.mu.Lock()
	name := m.head
	m.mu.Unlock()
	if name != "" {
		return name, nil
	}
	endpoint, err := transport.NewEndpoint(m.remote.URL)
	if err != nil {
		return "", fmt.Errorf("remote: %w", err)
	}
	auth, err := m.auth(ctx)
	if err != nil {
		return "", err
	}
	c, err := client.NewClient(endpoint)
	if err != nil {
		return "", fmt.Errorf("remote: %w", err)
	}
	var method transport.AuthMethod
	if auth != nil {
		method = auth
	}
	session, err := c.NewUploadPackSession(endpoint, method)
	if err != nil {
		return "", fmt.Errorf("asking %s for its default branch: %w", m.remote.URL, err)
	}
	defer session.Close()
	refs, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return "", fmt.Errorf("asking %s for its default branch: %w", m.remote.URL, err)
	}
	all, err := refs.AllReferences()
	if err != nil {
		return "", err
	}
	head, err := all.Reference(plumbing.HEAD)
	if err != nil {
		return "", fmt.Errorf("%s has no default branch: %w", m.remote.URL, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.head = head.Target().Short()
	return m.head, nil
}
