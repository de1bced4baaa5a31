package git

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// errShallow means that a history goes on beyond what was fetched.
var errShallow = errors.New("the history was not fetched that far")

// pending is a file that is there from before a pack comes until it is recorded
// where its history ends. What a process leaves that ended in between cannot be
// told from a whole history.
const pending = "shallow.pending"

// limit records where the history that was fetched ends.
func limit(store *filesystem.Storage, u packp.ShallowUpdate) error {
	ends, err := store.Shallow()
	if err != nil {
		return err
	}
	ends = slices.DeleteFunc(ends, func(h plumbing.Hash) bool { return slices.Contains(u.Unshallows, h) })
	for _, h := range u.Shallows {
		if !slices.Contains(ends, h) {
			ends = append(ends, h)
		}
	}
	return store.SetShallow(ends)
}

// FetchRef brings a commit that may be on no branch, with depth commits of each
// way back (1: the commit alone), and returns its id. ref is a full commit id, or
// the name of a reference, such as "refs/pull/7/merge". Its error wraps
// ErrUnknownRevision when the remote has none of that name.
func (m *Mirror) FetchRef(ctx context.Context, ref string, depth int) (string, error) {
	release, err := m.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	return m.fetchRef(ctx, ref, depth)
}

// fetchRef is FetchRef for a caller that holds busy.
func (m *Mirror) fetchRef(ctx context.Context, ref string, depth int) (string, error) {
	l, err := m.remote.dial(ctx)
	if err != nil {
		return "", err
	}
	session, err := l.client.NewUploadPackSession(l.endpoint, l.auth)
	if err != nil {
		return "", l.failed("fetch", err)
	}
	defer session.Close()
	advertised, err := session.AdvertisedReferencesContext(ctx)
	if err != nil && !errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return "", l.failed("fetch", err)
	}
	want, err := checkSHA(ref)
	if err != nil {
		var ok bool
		if advertised != nil {
			want, ok = advertised.References[ref]
		}
		if !strings.HasPrefix(ref, "refs/") || !ok {
			return "", fmt.Errorf("%s: %s: %w", m.remote.URL, ref, ErrUnknownRevision)
		}
	}
	store := m.store()
	defer store.Close()
	if depth == 1 && store.HasEncodedObject(want) == nil {
		return want.String(), nil
	}
	req, err := request(advertised, store, depth)
	if err != nil {
		return "", l.failed("fetch", err)
	}
	m.mu.Lock()
	known := m.branches
	m.mu.Unlock()
	req.Wants = []plumbing.Hash{want}
	for _, h := range known {
		if h != want {
			req.Haves = append(req.Haves, h)
		}
	}
	if err := m.receive(ctx, store, session, req); err != nil {
		return "", l.failed("fetch", err)
	}
	if store.HasEncodedObject(want) != nil {
		return "", fmt.Errorf("%s: %s: %w", m.remote.URL, ref, ErrUnknownRevision)
	}
	return want.String(), nil
}

// depths are how far a history is fetched when a question needs it: as far as
// an upgrade's own age, then all of it. See git's INFINITE_DEPTH.
var depths = []int{64, 1024, 0x7fffffff}

// deeper asks a question of the history again and again, with more of it each
// time, until it can be answered.
func (m *Mirror) deeper(ctx context.Context, base, head string, ask func() error) error {
	err := ask()
	for _, depth := range depths {
		if !m.shallow || !errors.Is(err, errShallow) && !errors.Is(err, ErrUnknownRevision) {
			return err
		}
		for _, sha := range []string{head, base} {
			if _, fetchErr := m.FetchRef(ctx, sha, depth); fetchErr != nil {
				return fetchErr
			}
		}
		err = ask()
	}
	return err
}

// Parents are the ids of a commit's parents, of which the mirror may have none.
func (m *Mirror) Parents(sha string) ([]string, error) {
	hash, err := checkSHA(sha)
	if err != nil {
		return nil, err
	}
	store := m.store()
	defer store.Close()
	c, err := m.commit(store, hash)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, p := range c.ParentHashes {
		out = append(out, p.String())
	}
	return out, nil
}
