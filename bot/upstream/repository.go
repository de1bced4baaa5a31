package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	registry "github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/pin"
)

// sourceLabel is where an image says where its source is (OCI image spec, annotations).
const sourceLabel = "org.opencontainers.image.source"

// Repository finds the source repository of an image and says how it was
// found. The order is that of SPEC section 6: configuration, the image's label,
// DIUN's hub link, the built-in table, then rules on the name. It returns
// ErrNotFound when none leads to a repository. A registry that does not answer
// is passed over with a word to Notify; GitHub not answering is an error.
func (c *Client) Repository(ctx context.Context, ref image.Ref, tag, hubLink string) (repo, how string, err error) {
	if repo := c.opts.Sources[ref.Name()]; repo != "" {
		return repo, "configured in sources", nil
	}
	if label, err := c.label(ctx, ref, tag); err == nil {
		if repo, ok := c.onGitHub(label); ok {
			return repo, "the image's label", nil
		}
	} else if ctx.Err() != nil {
		return "", "", ctx.Err()
	} else if !errors.Is(err, ErrOffline) {
		c.opts.Notify(fmt.Sprintf("%s:%s: the registry was not asked for the source: %v", ref.Familiar(), tag, err))
	}
	if repo, ok := c.onGitHub(hubLink); ok {
		return repo, "DIUN's link", nil
	}
	if repo := c.opts.Builtin[ref.Name()]; repo != "" {
		return repo, "built in", nil
	}
	for _, candidate := range guesses(ref) {
		switch exists, err := c.exists(ctx, candidate); {
		case err != nil:
			return "", "", err
		case exists:
			return candidate, "by the image's name", nil
		}
	}
	return "", "", fmt.Errorf("source repository of %s: %w: name it under sources in belay.yml", ref.Familiar(), ErrNotFound)
}

// guesses are the repositories that an image's name may stand for.
func guesses(ref image.Ref) []string {
	org, name, ok := strings.Cut(ref.Repository, "/")
	if !ok || strings.Contains(name, "/") || org == "library" {
		return nil
	}
	switch ref.Registry {
	case "ghcr.io", "docker.io", "quay.io":
	case "lscr.io":
		return []string{org + "/docker-" + name}
	default:
		return nil
	}
	out := []string{org + "/" + name}
	for _, suffix := range []string{"-server", "-backend", "-app", "-web"} {
		if short, ok := strings.CutSuffix(name, suffix); ok && short != "" {
			out = append(out, org+"/"+short)
		}
	}
	return out
}

func (c *Client) exists(ctx context.Context, repo string) (bool, error) {
	owner, name, _ := strings.Cut(repo, "/")
	_, _, err := c.github.Repositories.Get(ctx, owner, name)
	if err = ask(err); errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// onGitHub reads "https://github.com/owner/repository/…" of the GitHub that is asked.
func (c *Client) onGitHub(address string) (string, bool) {
	address = strings.TrimPrefix(address, "git+")
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || !strings.EqualFold(strings.TrimPrefix(u.Host, "www."), c.webHost) && !strings.EqualFold(u.Host, "github.com") {
		return "", false
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) < 2 || parts[0] == "orgs" || parts[0] == "users" {
		return "", false
	}
	repo := parts[0] + "/" + strings.TrimSuffix(parts[1], ".git")
	return repo, repositoryForm.MatchString(repo)
}

// repositoryForm is what GitHub lets a repository be called: a label is written
// by a stranger, and "acme/.." or "acme/app?per_page=1" would ask the API for
// something else. Matches acme/app, acme/.github, acme-2/my_app.js.
var repositoryForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*/(?:[A-Za-z0-9_-]|\.[A-Za-z0-9_-]|\.\.[A-Za-z0-9._-])[A-Za-z0-9._-]*$`)

// label reads the source label of an image at a tag.
func (c *Client) label(ctx context.Context, ref image.Ref, tag string) (string, error) {
	return remembered(c, "label "+ref.Name()+":"+tag, func() (string, error) {
		target, err := c.tagOf(ref, tag)
		if err != nil {
			return "", err
		}
		desc, err := remote.Get(target, c.remote(ctx)...)
		if err != nil {
			return "", registryError(err)
		}
		if v := desc.Annotations[sourceLabel]; v != "" {
			return v, nil
		}
		img, err := desc.Image()
		if err != nil {
			return "", registryError(err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			return "", registryError(err)
		}
		return config.Config.Labels[sourceLabel], nil
	})
}

func (c *Client) tagOf(ref image.Ref, tag string) (name.Tag, error) {
	t, err := name.NewTag(ref.Name()+":"+tag, name.WeakValidation)
	if err != nil {
		return t, fmt.Errorf("image %s:%s: %w", ref.Familiar(), tag, err)
	}
	return t, nil
}

func (c *Client) remote(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithTransport(c.rt), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithRetryPredicate(func(error) bool { return false })}
}

// registryError keeps what errors.Is looks for and drops net/http's frame. What
// the registry does not have is ErrNotFound, what it keeps from belay ErrRefused.
// Of an answer's text, which may be a page long, nothing is kept.
func registryError(err error) error {
	var answer *registry.Error
	if errors.As(err, &answer) {
		place := "the registry"
		if answer.Request != nil {
			place = answer.Request.URL.Host + answer.Request.URL.Path
		}
		return answered(place, answer.StatusCode)
	}
	return tidy(err)
}

// Digest asks the registry for the digest of ref's name at tag. A tag that it
// does not have is ErrNotFound.
func (c *Client) Digest(ctx context.Context, ref image.Ref, tag string) (string, error) {
	target, err := c.tagOf(ref, tag)
	if err != nil {
		return "", err
	}
	desc, err := remote.Head(target, c.remote(ctx)...)
	if err != nil {
		return "", fmt.Errorf("digest of %s:%s: %w", ref.Familiar(), tag, registryError(err))
	}
	return desc.Digest.String(), nil
}

// ChartRepository finds the source repository of a chart: configuration, the
// built-in table, then the sources and home of its newest version.
func (c *Client) ChartRepository(ctx context.Context, chart pin.Chart) (repo, how string, err error) {
	for _, table := range []map[string]string{c.opts.Charts, c.opts.BuiltinCharts} {
		for _, address := range []string{chart.Repository, strings.TrimSuffix(chart.Repository, "/"), chart.Repository + "/"} {
			if repo := table[address]; repo != "" {
				return repo, "configured or built in", nil
			}
		}
	}
	versions, err := c.ChartVersions(ctx, chart)
	if err != nil {
		return "", "", err
	}
	if len(versions) > 0 {
		for _, address := range append(versions[0].Sources, versions[0].Home) {
			if repo, ok := c.onGitHub(address); ok {
				return repo, "Chart.yaml", nil
			}
		}
	}
	return "", "", fmt.Errorf("source repository of chart %s: %w: name it under charts in belay.yml", chart.Name, ErrNotFound)
}
