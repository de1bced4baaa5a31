package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// Reach says whether Uptime Kuma answers as it has to: its metrics with the
// key, or the status page where one is named. It returns how many monitors
// there are.
func (k *Kuma) Reach(ctx context.Context, page string) (int, error) {
	all, err := k.monitors(ctx, page)
	return len(all), err
}

// Reach says whether Prometheus answers a query.
func (p *Prometheus) Reach(ctx context.Context) error {
	_, err := p.ask(ctx, "vector(1)")
	return err
}

// Reach says whether Woodpecker takes the token, and knows the repositories. It
// returns the name of the token's owner.
func (w *Woodpecker) Reach(ctx context.Context, repositories ...string) (string, error) {
	body, err := w.server.get(ctx, nil, "api", "user")
	if isStatus(err, http.StatusUnauthorized) || isStatus(err, http.StatusForbidden) {
		return "", fmt.Errorf("%w: set BELAY_WOODPECKER_TOKEN to a personal access token", err)
	}
	if err != nil {
		return "", err
	}
	var user struct{ Login string }
	if err := json.Unmarshal(body, &user); err != nil {
		return "", fmt.Errorf("woodpecker: the answer is no user: %w", err)
	}
	for _, name := range repositories {
		if _, err := w.repository(ctx, name); err != nil {
			return user.Login, err
		}
	}
	return cut(user.Login, 60), nil
}

// Registry asks a container registry whether it is there, by its address for
// that: https://HOST/v2/. 200 and 401 are right.
func Registry(ctx context.Context, client *http.Client, address string) error {
	s, err := newServer("the registry", "the image's name", address, nil)
	if err != nil {
		return err
	}
	if client != nil {
		s.http = client
	}
	_, err = s.get(ctx, url.Values{}, "v2", "")
	if isStatus(err, http.StatusUnauthorized) {
		return nil
	}
	return err
}
