package platform

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/slipway/slipway/wire"
)

// metricsPath is where Prometheus finds them. A signed request for it is one
// for a bucket of that name.
const metricsPath = "/metrics"

// otherOperation stands for operations that this build has not: their names
// are the caller's, and must not make series without bound.
const otherOperation = "other"

// metrics count what the platform answers.
type metrics struct {
	registry   *prometheus.Registry
	handler    http.Handler
	calls      *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	operations map[string]bool // "service/Operation" of this build

	// Looking a series up by its labels costs more than counting in it.
	series sync.Map // seriesKey to *series
}

// seriesKey names what one kind of answer is counted in.
type seriesKey struct {
	service, operation string
	status             int
}

type series struct {
	calls    prometheus.Counter
	duration prometheus.Observer
}

func newMetrics(version string, mounts []wire.Mount) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slipway_calls_total", Help: "API calls answered, by service, operation and HTTP status.",
		}, []string{"service", "operation", "status"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "slipway_call_duration_seconds", Help: "Time from a request's head to its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 20},
		}, []string{"service", "operation"}),
		operations: map[string]bool{},
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "slipway_info", Help: "Always 1; the label tells the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	m.registry.MustRegister(m.calls, m.durations, info, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	for _, mount := range mounts {
		for _, op := range mount.Desc.Operations {
			m.operations[mount.Desc.Name+"/"+op.Name] = true
		}
	}
	return m
}

func (m *metrics) observe(rec wire.Recording) {
	key := seriesKey{otherOperation, otherOperation, rec.Status}
	if rec.Service != nil {
		key.service = rec.Service.Name
		key.operation = rec.Call.Operation
	}
	found, ok := m.series.Load(key)
	if !ok {
		if key.operation != otherOperation && !m.operations[key.service+"/"+key.operation] {
			key.operation = otherOperation
		}
		// Only what is of this build is kept: a caller makes no entry up.
		found, _ = m.series.LoadOrStore(key, &series{
			m.calls.WithLabelValues(key.service, key.operation, strconv.Itoa(key.status)),
			m.durations.WithLabelValues(key.service, key.operation),
		})
	}
	s := found.(*series)
	s.calls.Inc()
	s.duration.Observe(rec.Duration.Seconds())
}

// wanted reports whether a request is for the metrics: unsigned, for the path
// itself.
func wanted(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == metricsPath && r.URL.RawQuery == "" && r.Header.Get("Authorization") == ""
}
