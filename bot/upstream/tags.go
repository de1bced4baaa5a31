package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	auth "github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/belaybot/belay/rules/image"
)

// maxTagPages bounds the pages of one tag list: a thousand tags each, where the
// registry gives as many.
const maxTagPages = 200

// perHost is how many lists one registry is asked for at once.
const perHost = 8

// registries is what is known of registries for as long as a Client lives.
type registries struct {
	mu    sync.Mutex
	known map[string]*registryState
}

// registryState is a registry that was greeted, and who may ask it.
type registryState struct {
	slots     chan struct{}
	mu        sync.Mutex
	challenge *auth.Challenge
}

func (r *registries) of(host string) *registryState {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string]*registryState{}
	}
	s := r.known[host]
	if s == nil {
		s = &registryState{slots: make(chan struct{}, perHost)}
		r.known[host] = s
	}
	return s
}

// greet asks a registry once how it wants to be asked.
func (s *registryState) greet(ctx context.Context, reg name.Registry, rt http.RoundTripper) (*auth.Challenge, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.challenge != nil {
		return s.challenge, nil
	}
	c, err := auth.Ping(ctx, reg, rt)
	if err != nil {
		return nil, err
	}
	s.challenge = c
	return c, nil
}

// Tags lists the tags that an image's registry has, in no order. It costs one
// request and one for each further page, and a token where the registry wants
// one; the registry is greeted once. ErrNotFound means that the registry knows no
// such image, or keeps it from strangers. Offline, the list that was seen last is given.
func (c *Client) Tags(ctx context.Context, ref image.Ref) ([]string, error) {
	repo, err := name.NewRepository(ref.Name(), name.WeakValidation)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", ref.Familiar(), err)
	}
	return c.tags(ctx, repo, "tags "+repo.Name())
}

// tags lists a repository's tags, and keeps them under a name for offline use:
// asking a registry begins with a greeting and a token, which are never cached.
func (c *Client) tags(ctx context.Context, repo name.Repository, fact string) ([]string, error) {
	if c.opts.Offline {
		return remembered(c, fact, func() ([]string, error) { return nil, fmt.Errorf("%s: %w", repo, ErrOffline) })
	}
	tags, err := c.listTags(ctx, repo)
	if err != nil {
		return nil, err
	}
	c.keep(fact, tags)
	return tags, nil
}

func (c *Client) listTags(ctx context.Context, repo name.Repository) ([]string, error) {
	state := c.registries.of(repo.RegistryStr())
	select {
	case state.slots <- struct{}{}:
		defer func() { <-state.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	challenge, err := state.greet(ctx, repo.Registry, c.rt)
	if err != nil {
		return nil, registryError(err)
	}
	who, err := authn.Resolve(ctx, authn.DefaultKeychain, repo.Registry)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", repo.RegistryStr(), err)
	}
	var token *auth.Token
	if strings.EqualFold(challenge.Scheme, "bearer") {
		if token, err = auth.Exchange(ctx, repo.Registry, who, c.rt, []string{repo.Scope(auth.PullScope)}, challenge); err != nil {
			return nil, absent(repo, err)
		}
	}
	rt, err := auth.FromToken(repo.Registry, who, c.rt, challenge, token)
	if err != nil {
		return nil, registryError(err)
	}
	puller, err := remote.NewPuller(remote.WithTransport(rt), remote.WithAuth(who))
	if err != nil {
		return nil, err
	}
	pages, err := puller.Lister(ctx, repo)
	if err != nil {
		return nil, absent(repo, err)
	}
	var out []string
	seen := map[string]bool{}
	for n := 0; pages.HasNext(); n++ {
		page, err := pages.Next(ctx)
		if err != nil {
			return nil, absent(repo, err)
		}
		out = append(out, page.Tags...)
		if n == maxTagPages || page.Next != "" && seen[page.Next] {
			return nil, fmt.Errorf("%s: its list of tags does not end", repo)
		}
		seen[page.Next] = true
	}
	return out, nil
}

// absent says what a registry's refusal means: what it does not have, and what
// it keeps from strangers, is not there for us.
func absent(repo name.Repository, err error) error {
	var answer *auth.Error
	if errors.As(err, &answer) {
		switch answer.StatusCode {
		case http.StatusNotFound:
			return fmt.Errorf("%s: %w", repo, ErrNotFound)
		case http.StatusUnauthorized, http.StatusForbidden:
			return fmt.Errorf("%s: %w: the registry keeps it from strangers (HTTP %d); sign in with docker login where it is yours", repo, ErrNotFound, answer.StatusCode)
		}
		return fmt.Errorf("%s answers %d", repo.RegistryStr(), answer.StatusCode)
	}
	return registryError(err)
}
