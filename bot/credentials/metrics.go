package credentials

import "github.com/prometheus/client_golang/prometheus"

var (
	expiry = prometheus.NewDesc("belay_credential_expiry_timestamp_seconds",
		"When a credential ends, as seconds since 1970; absent where no end is known.", []string{"credential"}, nil)
	seen = prometheus.NewDesc("belay_credential_seen_timestamp_seconds",
		"When a credential was last found good, as seconds since 1970; 0 for never.", []string{"credential"}, nil)
	refused = prometheus.NewDesc("belay_credential_refused",
		"1 when whom the credential is for did not take it the last time, else 0.", []string{"credential"}, nil)
)

// Describe implements prometheus.Collector.
func (r *Registry) Describe(ch chan<- *prometheus.Desc) {
	ch <- expiry
	ch <- seen
	ch <- refused
}

// Collect implements prometheus.Collector.
func (r *Registry) Collect(ch chan<- prometheus.Metric) {
	for _, c := range r.List() {
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, c.Name)
		}
		if !c.Expires.IsZero() {
			gauge(expiry, float64(c.Expires.Unix()))
		}
		at := 0.0
		if !c.SeenAt.IsZero() {
			at = float64(c.SeenAt.Unix())
		}
		gauge(seen, at)
		gauge(refused, map[bool]float64{true: 1}[c.Refused])
	}
}
