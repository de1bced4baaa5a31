package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/belaybot/belay/rules/watch"
)

// kumaKeep is how long an answer of Uptime Kuma serves. It takes 60 requests a
// minute with API keys, all clients together.
const kumaKeep = 10 * time.Second

// Uptime Kuma's states of a heartbeat (its server/model/heartbeat.js).
const (
	kumaDown        = 0
	kumaUp          = 1
	kumaPending     = 2 // failed, and being tried again
	kumaMaintenance = 3
)

// Kuma looks at the monitor of a service in Uptime Kuma: in its metrics, or on
// a public status page where the subject names one. Down is bad; maintenance, a
// monitor that is not there and one without a beat since the upgrade are left out.
type Kuma struct {
	server  *server
	now     func() time.Time
	metrics shared[[]monitor]
	pages   shared[[]monitor]
}

// KumaOptions say where Uptime Kuma is.
type KumaOptions struct {
	URL string        // "https://status.example.org"
	Key func() string // API key, "uk1_…"; for metrics only. nil or "": none
	Now func() time.Time
}

// monitor is one of Uptime Kuma's monitors as it stands.
type monitor struct {
	name   string
	status int
	beat   time.Time // of its last beat; zero where that is not told
}

// NewKuma makes the observer. The error says what is wrong with the address.
func NewKuma(opts KumaOptions) (*Kuma, error) {
	s, err := newServer("uptime kuma", "--kuma-url (BELAY_KUMA_URL)", opts.URL, nil)
	if err != nil {
		return nil, err
	}
	s.auth = func(req *http.Request) {
		if key := secret(opts.Key); key != "" && strings.HasSuffix(req.URL.Path, "/metrics") {
			req.SetBasicAuth("", key) // the name is not looked at
		}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Kuma{server: s, now: opts.Now, metrics: shared[[]monitor]{keep: kumaKeep, now: opts.Now}, pages: shared[[]monitor]{keep: kumaKeep, now: opts.Now}}, nil
}

// Look gives one sample, of the subject's monitor.
func (k *Kuma) Look(ctx context.Context, s watch.Subject) []watch.Sample {
	name := s.Monitor
	if name == "" {
		name = s.Service
	}
	x := watch.Sample{At: k.now(), Kind: watch.Kuma, Name: "monitor " + name}
	all, err := k.monitors(ctx, s.StatusPage)
	if err != nil {
		x.State, x.Detail = watch.Blind, err.Error()
		return []watch.Sample{x}
	}
	x.State, x.Detail = find(all, name, s.Since)
	if x.State == watch.Bad {
		x.Cause = watch.CauseUnhealthy
	}
	return []watch.Sample{x}
}

func (k *Kuma) monitors(ctx context.Context, page string) ([]monitor, error) {
	if page == "" {
		return k.metrics.get(ctx, "", func(ctx context.Context) ([]monitor, error) {
			body, err := k.server.get(ctx, nil, "metrics")
			if isStatus(err, http.StatusUnauthorized) {
				return nil, fmt.Errorf("%w: set BELAY_KUMA_KEY to an API key that has not expired", err)
			} else if err != nil {
				return nil, err
			}
			return parseMetrics(body)
		})
	}
	return k.pages.get(ctx, page, func(ctx context.Context) ([]monitor, error) {
		names, err := k.server.get(ctx, nil, "api", "status-page", page)
		if isStatus(err, http.StatusNotFound) {
			return nil, fmt.Errorf("uptime kuma has no status page %q: correct verify.kuma.status_page", cut(page, 60))
		} else if err != nil {
			return nil, err
		}
		beats, err := k.server.get(ctx, nil, "api", "status-page", "heartbeat", page)
		if err != nil {
			return nil, err
		}
		return parsePage(names, beats)
	})
}

// find says how the monitors of a name stand, by the worst of them.
func find(all []monitor, name string, since time.Time) (watch.State, string) {
	up, active, found := 0, 0, false
	worst := monitor{status: kumaMaintenance}
	order := []int{kumaMaintenance, kumaUp, kumaPending, kumaDown}
	grave := func(status int) int {
		for i, s := range order {
			if s == status {
				return i
			}
		}
		return -1
	}
	for _, m := range all {
		if m.status != kumaMaintenance {
			active++
		}
		if m.status == kumaUp {
			up++
		}
		if !strings.EqualFold(strings.TrimSpace(m.name), strings.TrimSpace(name)) || !m.beat.IsZero() && m.beat.Before(since) {
			continue
		}
		if !found || grave(m.status) > grave(worst.status) {
			worst, found = m, true
		}
	}
	switch {
	case !found:
		return watch.Absent, "there is no monitor of that name with a beat since the upgrade"
	case worst.status == kumaUp:
		return watch.Good, "up"
	case worst.status == kumaMaintenance:
		return watch.Absent, "in maintenance"
	case up == 0 && active >= 3:
		// Not three services at once, but the network that Uptime Kuma looks from.
		return watch.Blind, fmt.Sprintf("all %d monitors are down: Uptime Kuma itself seems cut off", active)
	case worst.status == kumaPending:
		return watch.Progressing, "pending: it failed and is tried again"
	}
	return watch.Bad, "down"
}

// parseMetrics reads monitor_status from Uptime Kuma's metrics.
func parseMetrics(body []byte) ([]monitor, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("uptime kuma's metrics cannot be read: %s", cut(err.Error(), 120))
	}
	var out []monitor
	for _, m := range families["monitor_status"].GetMetric() {
		value, ok := value(m)
		if status := int(value); ok && float64(status) == value && status >= kumaDown && status <= kumaMaintenance {
			out = append(out, monitor{name: label(m, "monitor_name"), status: status})
		}
	}
	return out, nil
}

func value(m *dto.Metric) (float64, bool) {
	switch {
	case m.Gauge != nil:
		return m.Gauge.GetValue(), !math.IsNaN(m.Gauge.GetValue())
	case m.Untyped != nil:
		return m.Untyped.GetValue(), !math.IsNaN(m.Untyped.GetValue())
	}
	return 0, false
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// parsePage reads the two answers of which a status page is made: the names of
// the monitors, and their last hundred beats, oldest first.
func parsePage(names, beats []byte) ([]monitor, error) {
	var page struct {
		Groups []struct {
			Monitors []struct {
				ID   int64  `json:"id"`
				Name string `json:"name"`
			} `json:"monitorList"`
		} `json:"publicGroupList"`
	}
	var list struct {
		Beats map[string][]struct {
			Status *int   `json:"status"`
			Time   string `json:"time"`
		} `json:"heartbeatList"`
	}
	if err := json.Unmarshal(names, &page); err != nil {
		return nil, fmt.Errorf("uptime kuma's status page cannot be read: %s", cut(err.Error(), 120))
	}
	if err := json.Unmarshal(beats, &list); err != nil {
		return nil, fmt.Errorf("uptime kuma's heartbeats cannot be read: %s", cut(err.Error(), 120))
	}
	var out []monitor
	for _, g := range page.Groups {
		for _, m := range g.Monitors {
			var last *monitor
			for _, b := range list.Beats[strconv.FormatInt(m.ID, 10)] {
				// In UTC: "2026-11-25 09:42:37.699".
				at, err := time.Parse("2006-01-02 15:04:05", b.Time)
				if err != nil || b.Status == nil || *b.Status < kumaDown || *b.Status > kumaMaintenance || last != nil && at.Before(last.beat) {
					continue
				}
				last = &monitor{name: m.Name, status: *b.Status, beat: at}
			}
			if last != nil {
				out = append(out, *last)
			}
		}
	}
	return out, nil
}
