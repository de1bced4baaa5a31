package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/version"
)

// maxOCITags is how many versions of an OCI chart, newest first, are looked up
// for their appVersion.
const maxOCITags = 20

// ChartVersions lists the versions of a chart, newest first, from its
// index.yaml or OCI registry. It returns ErrNotFound for a chart that the
// repository does not have.
func (c *Client) ChartVersions(ctx context.Context, chart pin.Chart) ([]ChartVersion, error) {
	key := chart.Repository + " " + chart.Name
	c.mu.Lock()
	versions, ok := c.parsed[key]
	c.mu.Unlock()
	if ok {
		return versions, nil
	}
	var err error
	switch {
	case chart.Repository == "":
		return nil, fmt.Errorf("chart %s: %w: its repository is not written in Terraform", chart.Name, ErrNotFound)
	case strings.HasPrefix(chart.Repository, "oci://"):
		versions, err = c.ociVersions(ctx, chart)
	default:
		versions, err = c.indexVersions(ctx, chart)
	}
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(versions, func(a, b ChartVersion) int {
		x, err1 := version.Parse(a.Version)
		y, err2 := version.Parse(b.Version)
		if errors.Join(err1, err2) != nil {
			return strings.Compare(b.Version, a.Version)
		}
		return version.CompareReleases(y, x)
	})
	c.mu.Lock()
	c.parsed[key] = versions
	c.mu.Unlock()
	return versions, nil
}

func (c *Client) indexVersions(ctx context.Context, chart pin.Chart) ([]ChartVersion, error) {
	base := strings.TrimSuffix(chart.Repository, "/") + "/"
	data, err := c.get(ctx, base+"index.yaml")
	if err != nil {
		return nil, err
	}
	return c.readIndex(data, base, chart)
}

// readIndex reads an index.yaml and remembers where the chart's archives are.
func (c *Client) readIndex(data []byte, base string, chart pin.Chart) ([]ChartVersion, error) {
	entries, ok, err := entriesOf(data, chart.Name)
	if err != nil {
		return nil, fmt.Errorf("%sindex.yaml: %w", plain(base), err)
	}
	if !ok {
		return nil, fmt.Errorf("%s has no chart %s: %w", plain(base), chart.Name, ErrNotFound)
	}
	root, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("chart repository %q is not a URL", plain(base))
	}
	var out []ChartVersion
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range entries {
		out = append(out, ChartVersion{Version: e.Version, AppVersion: e.AppVersion, Sources: e.Sources, Home: e.Home, Deprecated: e.Deprecated})
		if len(e.URLs) > 0 {
			if u, err := root.Parse(e.URLs[0]); err == nil {
				c.urls[archive(chart, e.Version)] = u.String()
			}
		}
	}
	return out, nil
}

func archive(chart pin.Chart, version string) string {
	return chart.Repository + " " + chart.Name + " " + version
}

func (c *Client) ociRepository(chart pin.Chart) (name.Repository, error) {
	repo, err := name.NewRepository(strings.TrimSuffix(strings.TrimPrefix(chart.Repository, "oci://"), "/") + "/" + chart.Name)
	if err != nil {
		return repo, fmt.Errorf("chart %s/%s: its repository is not one of OCI: write oci://HOST/PATH", plain(chart.Repository), chart.Name)
	}
	return repo, nil
}

func (c *Client) ociVersions(ctx context.Context, chart pin.Chart) ([]ChartVersion, error) {
	repo, err := c.ociRepository(chart)
	if err != nil {
		return nil, err
	}
	tags, err := c.tags(ctx, repo, "chart tags "+repo.Name())
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", repo, err)
	}
	var out []ChartVersion
	for _, t := range tags {
		// A tag has no "+"; Helm writes "_" for it.
		if v, err := version.Parse(strings.ReplaceAll(t, "_", "+")); err == nil {
			out = append(out, ChartVersion{Version: v.Raw})
		}
	}
	slices.SortStableFunc(out, func(a, b ChartVersion) int {
		x, _ := version.Parse(a.Version)
		y, _ := version.Parse(b.Version)
		return version.CompareReleases(y, x)
	})
	for i := range out[:min(len(out), maxOCITags)] {
		meta, err := remembered(c, "chart config "+repo.Name()+" "+out[i].Version, func() (ChartVersion, error) { return c.ociConfig(ctx, repo, out[i].Version) })
		if err != nil {
			return nil, err
		}
		out[i].AppVersion, out[i].Sources, out[i].Home, out[i].Deprecated = meta.AppVersion, meta.Sources, meta.Home, meta.Deprecated
	}
	return out, nil
}

func (c *Client) ociImage(ctx context.Context, repo name.Repository, version string) (v1.Image, error) {
	img, err := remote.Image(repo.Tag(strings.ReplaceAll(version, "+", "_")), c.remote(ctx)...)
	if err != nil {
		return nil, fmt.Errorf("chart %s:%s: %w", repo, version, registryError(err))
	}
	return img, nil
}

func (c *Client) ociConfig(ctx context.Context, repo name.Repository, version string) (ChartVersion, error) {
	img, err := c.ociImage(ctx, repo, version)
	if err != nil {
		return ChartVersion{}, err
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		return ChartVersion{}, fmt.Errorf("chart %s:%s: %w", repo, version, registryError(err))
	}
	var meta struct {
		AppVersion string   `json:"appVersion"`
		Sources    []string `json:"sources"`
		Home       string   `json:"home"`
		Deprecated bool     `json:"deprecated"`
	}
	if err := json.Unmarshal(raw, &meta); err != nil {
		return ChartVersion{}, fmt.Errorf("chart %s:%s: its configuration is no JSON: %w", repo, version, err)
	}
	return ChartVersion{Version: version, AppVersion: meta.AppVersion, Sources: meta.Sources, Home: meta.Home, Deprecated: meta.Deprecated}, nil
}

// ChartImages lists the images that a chart version ships (see readChart). A
// version of a chart never changes, so the answer is kept.
func (c *Client) ChartImages(ctx context.Context, chart pin.Chart, version string) ([]ChartImage, error) {
	return remembered(c, "images that ship with chart "+archive(chart, version), func() ([]ChartImage, error) {
		data, err := c.archive(ctx, chart, version)
		if err != nil {
			return nil, err
		}
		return readChart(data)
	})
}

func (c *Client) archive(ctx context.Context, chart pin.Chart, version string) ([]byte, error) {
	if strings.HasPrefix(chart.Repository, "oci://") {
		return c.ociArchive(ctx, chart, version)
	}
	if _, err := c.ChartVersions(ctx, chart); err != nil {
		return nil, err
	}
	c.mu.Lock()
	address := c.urls[archive(chart, version)]
	c.mu.Unlock()
	if address == "" {
		return nil, fmt.Errorf("chart %s has no version %s: %w", chart.Name, version, ErrNotFound)
	}
	return c.get(ctx, address)
}

func (c *Client) ociArchive(ctx context.Context, chart pin.Chart, version string) ([]byte, error) {
	repo, err := c.ociRepository(chart)
	if err != nil {
		return nil, err
	}
	img, err := c.ociImage(ctx, repo, version)
	if err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err != nil || len(layers) == 0 {
		return nil, fmt.Errorf("chart %s:%s has no content: %w", repo, version, errors.Join(err, ErrNotFound))
	}
	rd, err := layers[0].Compressed()
	if err != nil {
		return nil, fmt.Errorf("chart %s:%s: %w", repo, version, registryError(err))
	}
	defer rd.Close()
	return io.ReadAll(io.LimitReader(rd, maxResponse))
}
