package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// flight is a fetch that one or more callers wait for.
type flight struct {
	ctx     context.Context // ends when nobody waits any more
	cancel  context.CancelFunc
	waiting int // callers; guarded by Mirror.mu
	done    chan struct{}
	err     error // set before done is closed
}

// Fetch brings the branches, and what the default one is, to what they are at
// the remote. Rewritten branches are followed, deleted ones removed. Only
// objects that are missing are transferred.
//
// One fetch runs at a time. Callers that come while one runs share the one that
// follows it, so that each sees all that was pushed before it called.
func (m *Mirror) Fetch(ctx context.Context) error {
	m.mu.Lock()
	f := m.next
	if f == nil {
		f = &flight{done: make(chan struct{})}
		f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
		m.next = f
		go m.fly(f)
	}
	f.waiting++
	m.mu.Unlock()

	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		m.mu.Lock()
		defer m.mu.Unlock()
		if f.waiting--; f.waiting == 0 {
			f.cancel()
			if m.next == f {
				m.next = nil
			}
		}
		return fmt.Errorf("%s: fetch: %w", m.remote.URL, ctx.Err())
	}
}

// fly runs a fetch when its turn comes. From then on later callers take the next one.
func (m *Mirror) fly(f *flight) {
	defer close(f.done)
	defer f.cancel()
	release, err := m.acquire(f.ctx)
	if err != nil {
		f.err = err
		return
	}
	defer release()
	m.mu.Lock()
	if m.next == f {
		m.next = nil
	}
	m.mu.Unlock()
	f.err = m.fetch(f.ctx)
}

// acquire waits for the remote to be free.
func (m *Mirror) acquire(ctx context.Context) (release func(), err error) {
	select {
	case m.busy <- struct{}{}:
		return func() { <-m.busy }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", m.remote.URL, ctx.Err())
	}
}

// fetch is Fetch for a caller that holds busy.
func (m *Mirror) fetch(ctx context.Context) error {
	l, err := m.remote.dial(ctx)
	if err != nil {
		return err
	}
	session, err := l.client.NewUploadPackSession(l.endpoint, l.auth)
	if err != nil {
		return l.failed("fetch", err)
	}
	defer session.Close()
	advertised, err := session.AdvertisedReferencesContext(ctx)
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		advertised, err = packp.NewAdvRefs(), nil
	}
	if err != nil {
		return l.failed("fetch", err)
	}
	branches, head := branchesOf(advertised), defaultOf(advertised)
	depth := 0
	if m.shallow {
		depth = 1
		maps.DeleteFunc(branches, func(name string, _ plumbing.Hash) bool { return name != head })
	}

	m.mu.Lock()
	known := m.branches
	same := maps.Equal(known, branches) && m.head == head
	m.mu.Unlock()
	if same {
		return nil
	}
	store := m.store()
	defer store.Close()
	wants, err := missing(store, branches)
	if err != nil {
		return fmt.Errorf("mirror %s: %w", m.dir, err)
	}
	if len(wants) > 0 {
		req, err := request(advertised, store, depth)
		if err != nil {
			return l.failed("fetch", err)
		}
		req.Wants, req.Haves = wants, haves(store, known, branches)
		if err := m.receive(ctx, store, session, req); err != nil {
			return l.failed("fetch", err)
		}
		if wants, err = missing(store, branches); err != nil || len(wants) > 0 {
			return fmt.Errorf("%s: fetch: the remote left out %d commits (%w)", m.remote.URL, len(wants), errors.Join(err, plumbing.ErrObjectNotFound))
		}
	}
	if err := m.record(branches, head); err != nil {
		return fmt.Errorf("mirror %s: %w", m.dir, err)
	}
	return nil
}

// request asks for a pack, of depth commits on each way back; 0 for all of them.
func request(advertised *packp.AdvRefs, store *filesystem.Storage, depth int) (*packp.UploadPackRequest, error) {
	req := packp.NewUploadPackRequestFromCapabilities(advertised.Capabilities)
	if advertised.Capabilities.Supports(capability.NoProgress) {
		if err := req.Capabilities.Set(capability.NoProgress); err != nil {
			return nil, err
		}
	}
	if depth == 0 {
		return req, nil
	}
	if !advertised.Capabilities.Supports(capability.Shallow) {
		return req, nil // then it is all of them
	}
	if err := req.Capabilities.Set(capability.Shallow); err != nil {
		return nil, err
	}
	req.Depth = packp.DepthCommits(depth)
	var err error
	req.Shallows, err = store.Shallow()
	return req, err
}

// receive puts the pack that answers req into the store, and then where its
// history ends. A pack that breaks off leaves nothing behind.
func (m *Mirror) receive(ctx context.Context, store *filesystem.Storage, session transport.UploadPackSession, req *packp.UploadPackRequest) error {
	answer, err := session.UploadPack(ctx, req)
	if err != nil {
		return err
	}
	defer answer.Close()
	// The boundary counts once the commits are there that it names: the remote
	// takes them for ours. Whoever finds it pending begins anew.
	cut := len(answer.Shallows)+len(answer.Unshallows) > 0
	if cut {
		if err := replace(filepath.Join(m.dir, pending), ""); err != nil {
			return err
		}
	}
	var pack io.Reader = answer
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		pack = sideband.NewDemuxer(sideband.Sideband64k, answer)
	case req.Capabilities.Supports(capability.Sideband):
		pack = sideband.NewDemuxer(sideband.Sideband, answer)
	}
	err = packfile.UpdateObjectStorage(store, pack)
	if err == nil || errors.Is(err, packfile.ErrEmptyPackfile) {
		if !cut {
			return nil
		}
		if err := limit(store, answer.ShallowUpdate); err != nil {
			return err
		}
		return os.Remove(filepath.Join(m.dir, pending))
	}
	// One fetch runs at a time, so any pack that is being written is this one.
	left, _ := filepath.Glob(filepath.Join(m.dir, "objects/pack/tmp_pack_*"))
	left = append(left, filepath.Join(m.dir, pending))
	for _, file := range left {
		if e := os.Remove(file); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// branchesOf are the remote's branches by name. Names that belay would not push are passed over.
func branchesOf(advertised *packp.AdvRefs) map[string]plumbing.Hash {
	branches := map[string]plumbing.Hash{}
	for name, hash := range advertised.References {
		if branch, ok := strings.CutPrefix(name, refHeads); ok && checkBranch(branch) == nil {
			branches[branch] = hash
		}
	}
	return branches
}

// defaultOf is the branch that HEAD of the remote points to, "" when it says none.
func defaultOf(advertised *packp.AdvRefs) string {
	for _, ref := range advertised.Capabilities.Get(capability.SymRef) {
		if target, ok := strings.CutPrefix(ref, "HEAD:"+refHeads); ok {
			return target
		}
	}
	return ""
}

// missing are the commits of branches that the store lacks.
func missing(store *filesystem.Storage, branches map[string]plumbing.Hash) ([]plumbing.Hash, error) {
	lacks := map[plumbing.Hash]bool{}
	for _, hash := range branches {
		err := store.HasEncodedObject(hash)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			lacks[hash] = true
		} else if err != nil {
			return nil, err
		}
	}
	return slices.Collect(maps.Keys(lacks)), nil
}

// Bounds on what is told to the remote: enough to find a common ancestor of a
// rewritten branch, small enough for one request.
const (
	maxHaves     = 2000
	haveAncestry = 64
)

// haves are commits that the remote may build upon: where the branches were,
// and for those that are elsewhere now some of what came before.
func haves(store *filesystem.Storage, known, now map[string]plumbing.Hash) []plumbing.Hash {
	said := map[plumbing.Hash]bool{}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		steps := 1
		if now[name] != known[name] {
			steps = haveAncestry
		}
		for hash := known[name]; steps > 0 && len(said) < maxHaves; steps-- {
			said[hash] = true
			commit, err := object.GetCommit(store, hash)
			if err != nil || len(commit.ParentHashes) == 0 {
				break
			}
			hash = commit.ParentHashes[0]
		}
	}
	return slices.Collect(maps.Keys(said))
}
