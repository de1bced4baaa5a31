package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belaybot/belay/rules/watch"
)

// Prometheus asks queries whose value has to keep a bound.
// See https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries.
type Prometheus struct {
	server *server
	now    func() time.Time
}

// PrometheusOptions say where Prometheus is.
type PrometheusOptions struct {
	URL   string        // "http://prometheus.monitoring:9090", with a path where there is one
	Token func() string // sent as a bearer token; nil or "": none
	Now   func() time.Time
}

// NewPrometheus makes the observer. The error says what is wrong with the address.
func NewPrometheus(opts PrometheusOptions) (*Prometheus, error) {
	s, err := newServer("prometheus", "--prometheus-url (BELAY_PROMETHEUS_URL)", opts.URL, bearer(opts.Token))
	if err != nil {
		return nil, err
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Prometheus{server: s, now: opts.Now}, nil
}

func bearer(token func() string) func(*http.Request) {
	return func(req *http.Request) {
		if t := secret(token); t != "" {
			req.Header.Set("Authorization", "Bearer "+t)
		}
	}
}

// Look gives one sample for each query of the subject. A query that Prometheus
// refuses is Blind, one without a value Absent.
func (p *Prometheus) Look(ctx context.Context, s watch.Subject) []watch.Sample {
	var out []watch.Sample
	for _, q := range s.Queries {
		x := watch.Sample{At: p.now(), Kind: watch.Prometheus, Name: cut(q.Expr, 120)}
		values, err := p.ask(ctx, q.Expr)
		if err != nil {
			x.State, x.Detail = watch.Blind, err.Error()
		} else if x.State, x.Detail = keeps(q, values); x.State == watch.Bad {
			x.Cause = watch.CauseUnhealthy
		}
		out = append(out, x)
	}
	return out
}

// series is one value of an answer with what it belongs to.
type series struct {
	labels string // `{instance="web"}`; "" without any
	value  float64
}

// ask posts, since queries may be longer than a URL.
func (p *Prometheus) ask(ctx context.Context, expr string) ([]series, error) {
	form := url.Values{"query": {expr}, "timeout": {"8s"}}
	u := p.server.base.JoinPath("api", "v1", "query")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", bare(err))
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body, err := p.server.do(req)
	if isStatus(err, http.StatusBadRequest) || isStatus(err, http.StatusUnprocessableEntity) {
		_, err = parseQuery(body)
		if err == nil {
			err = errors.New("prometheus refuses the query")
		}
		return nil, err
	} else if err != nil {
		return nil, err
	}
	return parseQuery(body)
}

// keeps compares values with the bound of a query.
func keeps(q watch.Query, values []series) (watch.State, string) {
	values = slices.DeleteFunc(slices.Clone(values), func(v series) bool { return math.IsNaN(v.value) })
	if len(values) == 0 {
		return watch.Absent, "the query has no value"
	}
	for _, v := range values {
		n := strconv.FormatFloat(v.value, 'g', 6, 64)
		switch {
		case q.Below != nil && v.value >= *q.Below:
			return watch.Bad, fmt.Sprintf("%s is not below %g %s", n, *q.Below, cut(v.labels, 120))
		case q.Above != nil && v.value <= *q.Above:
			return watch.Bad, fmt.Sprintf("%s is not above %g %s", n, *q.Above, cut(v.labels, 120))
		}
	}
	if len(values) > 1 {
		return watch.Good, fmt.Sprintf("%d values within bounds", len(values))
	}
	return watch.Good, strconv.FormatFloat(values[0].value, 'g', 6, 64)
}

// parseQuery reads the answer to an instant query.
func parseQuery(body []byte) ([]series, error) {
	var got struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   struct {
			Type   string          `json:"resultType"`
			Result json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return nil, errors.New("prometheus gives an answer that is not its own: check BELAY_PROMETHEUS_URL")
	}
	if got.Status != "success" {
		return nil, fmt.Errorf("prometheus refuses the query: %s", cut(got.Error, 160))
	}
	switch got.Data.Type {
	case "scalar":
		v, err := point(got.Data.Result)
		if err != nil {
			return nil, err
		}
		return []series{{value: v}}, nil
	case "vector":
		var vector []struct {
			Metric map[string]string `json:"metric"`
			Value  json.RawMessage   `json:"value"`
		}
		if err := json.Unmarshal(got.Data.Result, &vector); err != nil {
			return nil, fmt.Errorf("prometheus' vector cannot be read: %s", cut(err.Error(), 120))
		}
		var out []series
		for _, e := range vector {
			if e.Value == nil {
				continue // a native histogram has no single value
			}
			v, err := point(e.Value)
			if err != nil {
				return nil, err
			}
			out = append(out, series{labels(e.Metric), v})
		}
		return out, nil
	}
	return nil, fmt.Errorf("the query gives a %s: a number or an instant vector is needed", cut(got.Data.Type, 20))
}

// point reads [1764063757.7, "0.31"].
func point(raw json.RawMessage) (float64, error) {
	var pair []any
	if err := json.Unmarshal(raw, &pair); err != nil || len(pair) != 2 {
		return 0, errors.New("prometheus' value is no pair of time and number")
	}
	text, _ := pair[1].(string)
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, errors.New("prometheus' value is no number")
	}
	return v, nil
}

func labels(m map[string]string) string {
	if len(m) == 0 {
		return ""
	}
	var out []string
	for k, v := range m {
		out = append(out, fmt.Sprintf("%s=%q", k, v))
	}
	slices.Sort(out)
	return "{" + strings.Join(out, ", ") + "}"
}
