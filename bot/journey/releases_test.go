package journey_test

import (
	"context"
	"strings"
	"sync"

	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/version"
)

// releases are what projects say of their versions; it plays the outside.
type releases struct {
	mu sync.Mutex
	by map[string][]notes.Release // by repository, oldest first
}

func newReleases() *releases { return &releases{by: map[string][]notes.Release{}} }

// quiet is the text of a release that says nothing of note.
const quiet = "### Fixed\n\n- an empty list no longer ends in a blank page"

// publish adds releases of a project, oldest first; where nothing is said of
// one, its text is quiet.
func (r *releases) publish(repository, tags string, said map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, tag := range strings.Fields(tags) {
		text, ok := said[tag]
		if !ok {
			text = quiet
		}
		r.by[repository] = append(r.by[repository], notes.Release{Tag: tag, Body: text, URL: "https://github.com/" + repository + "/releases/tag/" + tag})
	}
}

func (r *releases) Repository(_ context.Context, ref image.Ref, _, _ string) (string, string, error) {
	if known := policy.BuiltinSources()[ref.Name()]; known != "" {
		return known, "built-in table", nil
	}
	return "acme/" + ref.Repository[strings.LastIndexByte(ref.Repository, '/')+1:], "name", nil
}

func (r *releases) Notes(_ context.Context, repository string, from, to version.Tag) (upstream.Notes, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := upstream.Notes{Repository: repository, URL: "https://github.com/" + repository, From: "GitHub releases"}
	for _, release := range r.by[repository] {
		tag, err := version.Parse(release.Tag)
		if err != nil {
			return out, err
		}
		after, err := version.Compare(tag, from)
		if err != nil {
			return out, err
		}
		until, err := version.Compare(tag, to)
		if err != nil {
			return out, err
		}
		if after > 0 && until <= 0 {
			out.Releases = append(out.Releases, release)
		}
	}
	if len(out.Releases) == 0 {
		return out, upstream.ErrNotFound
	}
	return out, nil
}

func (r *releases) ChartRepository(context.Context, pin.Chart) (string, string, error) {
	return "", "", upstream.ErrNotFound
}

func (r *releases) ChartVersions(context.Context, pin.Chart) ([]upstream.ChartVersion, error) {
	return nil, upstream.ErrNotFound
}

func (r *releases) ChartImages(context.Context, pin.Chart, string) ([]upstream.ChartImage, error) {
	return nil, upstream.ErrNotFound
}

func (r *releases) Digest(context.Context, image.Ref, string) (string, error) {
	return "", upstream.ErrNotFound
}
