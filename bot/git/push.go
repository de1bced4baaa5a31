package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// ErrDefaultBranch means that a push or a deletion was refused because it would
// touch the remote's default branch, or because the remote does not say which
// branch that is.
var ErrDefaultBranch = errors.New("belay never pushes to the default branch")

// StaleError means that a branch is not where the caller believed it to be:
// somebody else pushed.
type StaleError struct {
	Branch string
	Want   string // the expected commit; "" for a branch that should not exist
	Got    string // where it is; "" when it does not exist
}

func (e *StaleError) Error() string {
	say := func(sha string) string {
		if sha == "" {
			return "absent"
		}
		return "at " + sha
	}
	return fmt.Sprintf("branch %s is %s, expected it %s; fetch and look again", e.Branch, say(e.Got), say(e.Want))
}

// RejectedError means that the remote took the objects and refused to move the
// branch: a protection rule, a hook, a missing permission.
type RejectedError struct {
	Branch string
	Reason string // the remote's words, on one line
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("the remote refuses to change branch %s: %s", e.Branch, e.Reason)
}

// Push moves the remote's branch to a commit of the mirror, forward or not.
//
// With expect "" the branch must not exist; else it must be at expect, which
// the remote compares in the same step. A branch that is elsewhere gives a
// *StaleError, one that is at sha already is a success. The default branch is
// refused with ErrDefaultBranch, and what the remote refuses is a *RejectedError.
func (m *Mirror) Push(ctx context.Context, sha, branch string, expect string) error {
	hash, err := checkSHA(sha)
	if err != nil {
		return err
	}
	return m.move(ctx, branch, expect, hash)
}

// DeleteBranch removes the remote's branch if it is at expect, else it returns a
// *StaleError. A branch that is gone already is a success.
func (m *Mirror) DeleteBranch(ctx context.Context, branch, expect string) error {
	if _, err := checkSHA(expect); err != nil {
		return err
	}
	return m.move(ctx, branch, expect, plumbing.ZeroHash)
}

// move makes the remote's branch point to target, the zero hash to delete it.
func (m *Mirror) move(ctx context.Context, branch, expect string, target plumbing.Hash) error {
	if err := checkBranch(branch); err != nil {
		return err
	}
	want := plumbing.ZeroHash
	if expect != "" {
		var err error
		if want, err = checkSHA(expect); err != nil {
			return err
		}
	}
	// A fetch tells the default branch of this moment, which what a server says
	// to a push does not, and makes what has to be sent as little as possible.
	if err := m.Fetch(ctx); err != nil {
		return err
	}
	if head, err := m.DefaultBranch(); err != nil || head == branch {
		return fmt.Errorf("%s: branch %s: %w", m.remote.URL, branch, ErrDefaultBranch)
	}
	release, err := m.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	l, err := m.remote.dial(ctx)
	if err != nil {
		return err
	}
	if err := m.send(ctx, l, branch, want, target); err != nil {
		return err
	}
	m.mu.Lock()
	branches, head := maps.Clone(m.branches), m.head
	m.mu.Unlock()
	if m.shallow || branches[branch] == target {
		return nil
	}
	if branches[branch] = target; target.IsZero() {
		delete(branches, branch)
	}
	if err := m.record(branches, head); err != nil {
		return fmt.Errorf("mirror %s: %w", m.dir, err)
	}
	return nil
}

// send is one conversation with the remote: where is the branch, and if that is
// what is wanted, here is what it should be.
func (m *Mirror) send(ctx context.Context, l *link, branch string, want, target plumbing.Hash) error {
	session, err := l.client.NewReceivePackSession(l.endpoint, l.auth)
	if err != nil {
		return l.failed("push", err)
	}
	defer session.Close()
	advertised, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return l.failed("push", err)
	}
	got := advertised.References[refHeads+branch]
	if got == target {
		return nil
	}
	if got != want {
		return stale(branch, want, got)
	}
	req := packp.NewReferenceUpdateRequestFromCapabilities(advertised.Capabilities)
	if !advertised.Capabilities.Supports(capability.ReportStatus) {
		return fmt.Errorf("%s: push: the remote would not say whether it did as told", m.remote.URL)
	}
	if target.IsZero() {
		if err := req.Capabilities.Set(capability.DeleteRefs); err != nil {
			return l.failed("push", err)
		}
	} else {
		pack, err := m.pack(ctx, target, advertised)
		if err != nil {
			return err
		}
		req.Packfile = io.NopCloser(pack)
	}
	// The remote compares Old with where the branch is when it takes the lock.
	req.Commands = []*packp.Command{{Name: plumbing.NewBranchReferenceName(branch), Old: got, New: target}}
	report, err := session.ReceivePack(ctx, req)
	switch {
	case err == nil && report != nil:
		return nil
	case err == nil:
		return fmt.Errorf("%s: push: the remote did not say whether it did as told", m.remote.URL)
	case report == nil:
		return l.failed("push", err)
	}
	// Refused: because somebody was faster, or for a reason of the remote's own.
	if advertised, e := session.AdvertisedReferencesContext(ctx); e == nil {
		if got := advertised.References[refHeads+branch]; got == target {
			return nil
		} else if got != want {
			return stale(branch, want, got)
		}
	}
	return &RejectedError{Branch: branch, Reason: l.redact(reason(report))}
}

func stale(branch string, want, got plumbing.Hash) error {
	say := func(h plumbing.Hash) string {
		if h.IsZero() {
			return ""
		}
		return h.String()
	}
	return &StaleError{Branch: branch, Want: say(want), Got: say(got)}
}

// reason is what a remote says about the one branch it was asked to move.
func reason(report *packp.ReportStatus) string {
	for _, s := range report.CommandStatuses {
		if s.Error() != nil {
			return s.Status
		}
	}
	return report.UnpackStatus
}

// pack makes the pack of what commit has and the remote lacks.
func (m *Mirror) pack(ctx context.Context, commit plumbing.Hash, advertised *packp.AdvRefs) (*bytes.Buffer, error) {
	store := m.store()
	defer store.Close()
	m.mu.Lock()
	tips := slices.Collect(maps.Values(m.branches))
	m.mu.Unlock()
	for _, hash := range branchesOf(advertised) {
		if store.HasEncodedObject(hash) == nil {
			tips = append(tips, hash)
		}
	}
	ends, err := store.Shallow() // what was fetched is there
	if err != nil {
		return nil, fmt.Errorf("mirror %s: %w", m.dir, err)
	}
	tips = append(tips, ends...)
	commits, err := m.beyond(ctx, store, commit, tips)
	if err != nil {
		return nil, err
	}
	objects := map[plumbing.Hash]bool{}
	for _, c := range commits {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := newObjects(store, c, objects); err != nil {
			return nil, fmt.Errorf("mirror %s: commit %s: %w", m.dir, c.Hash, err)
		}
	}
	var buf bytes.Buffer
	// No deltas: the few files of an upgrade are smaller than the search is long.
	if _, err := packfile.NewEncoder(&buf, store, false).Encode(slices.Collect(maps.Keys(objects)), 0); err != nil {
		return nil, fmt.Errorf("mirror %s: %w", m.dir, err)
	}
	return &buf, nil
}

// newObjects adds a commit and what its tree has that its first parent's tree
// has not at the same path. That may be an object too many, never one too few.
func newObjects(store storer.EncodedObjectStorer, c *object.Commit, objects map[plumbing.Hash]bool) error {
	before := plumbing.ZeroHash
	if len(c.ParentHashes) > 0 {
		parent, err := object.GetCommit(store, c.ParentHashes[0])
		if err != nil {
			return err
		}
		before = parent.TreeHash
	}
	objects[c.Hash] = true
	objects[c.TreeHash] = true
	return compare(store, before, c.TreeHash, "", 0, func(_ string, _, now object.TreeEntry) {
		// A submodule's commit is in another repository.
		if now.Mode != filemode.Empty && now.Mode != filemode.Submodule {
			objects[now.Hash] = true
		}
	})
}
