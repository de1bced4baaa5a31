package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaybot/belay/bot/reconcile"
)

// scans are the metrics of the look-ups of scan.every, read when they are asked for.
type scans struct{ read func() reconcile.ScanCounts }

var (
	scanRuns       = prometheus.NewDesc("belay_scans_total", "Scans of a repository that were begun, by result.", []string{"result"}, nil)
	scanPins       = prometheus.NewDesc("belay_scan_pins_total", "Pins that scans looked up, by result.", []string{"result"}, nil)
	scanDispatches = prometheus.NewDesc("belay_scan_dispatches_total", "Dispatches that scans led to.", nil, nil)
	scanLast       = prometheus.NewDesc("belay_scan_last_timestamp_seconds", "When the last scan was begun.", nil, nil)
	scanTook       = prometheus.NewDesc("belay_scan_last_duration_seconds", "How long the last scan took.", nil, nil)
)

// Describe implements prometheus.Collector.
func (scans) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{scanRuns, scanPins, scanDispatches, scanLast, scanTook} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m scans) Collect(ch chan<- prometheus.Metric) {
	c := m.read()
	counter := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	counter(scanRuns, c.Scans, "done")
	counter(scanRuns, c.Failed, "failed")
	counter(scanPins, c.Asked-c.Outdated, "current")
	counter(scanPins, c.Outdated, "outdated")
	counter(scanPins, c.Unreached, "unreached")
	counter(scanDispatches, c.Dispatched)
	ch <- prometheus.MustNewConstMetric(scanLast, prometheus.GaugeValue, c.LastAt)
	ch <- prometheus.MustNewConstMetric(scanTook, prometheus.GaugeValue, c.LastSeconds)
}
