// Package metrics holds the Prometheus collectors: what the server observes of
// requests, and what the engines report of themselves. It owns its registry and
// starts nothing; names begin with reasond_ and otherwise follow vLLM's.
package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/reasond/reasond/internal/llm"
)

// Metrics is the set of collectors of one server. Its methods are safe for
// concurrent use.
type Metrics struct {
	Registry *prometheus.Registry

	http      *prometheus.CounterVec
	inFlight  prometheus.Gauge
	finished  *prometheus.CounterVec
	reasoning *prometheus.CounterVec
	first     *prometheus.HistogramVec
	gap       *prometheus.HistogramVec
	total     *prometheus.HistogramVec
	prompt    *prometheus.HistogramVec
	output    *prometheus.HistogramVec
}

// Source is one engine to report on.
type Source struct {
	Model string // the label's value
	Stats func() llm.Stats
}

var (
	seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}
	gaps    = []float64{.0005, .001, .0025, .005, .01, .02, .03, .05, .075, .1, .15, .25, .5, 1, 2.5, 5}
	tokens  = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144}
)

// New makes the collectors. Each scrape asks engines what there is to report on.
func New(version string, engines func() []Source) *Metrics {
	histogram := func(name, help string, buckets []float64) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{"model"})
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		Registry:  prometheus.NewRegistry(),
		http:      counter("reasond_http_requests_total", "HTTP requests by route and status code.", "route", "code"),
		inFlight:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "reasond_http_requests_active", Help: "HTTP requests being answered."}),
		finished:  counter("reasond_request_success_total", "Choices that ended, by finish reason.", "model", "finished_reason"),
		reasoning: counter("reasond_reasoning_tokens_total", "Tokens of reasoning text generated.", "model"),
		first:     histogram("reasond_time_to_first_token_seconds", "From a request's arrival to its first text.", seconds),
		gap:       histogram("reasond_inter_token_latency_seconds", "Between two deliveries of one request's text.", gaps),
		total:     histogram("reasond_e2e_request_latency_seconds", "From a request's arrival to its end.", seconds),
		prompt:    histogram("reasond_request_prompt_tokens", "Prompt tokens of a request.", tokens),
		output:    histogram("reasond_request_generation_tokens", "Generated tokens of a request, all choices.", tokens),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "reasond_build_info", Help: "Always 1; the label says the version.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.Registry.MustRegister(m.http, m.inFlight, m.finished, m.reasoning, m.first, m.gap, m.total, m.prompt, m.output, build,
		engineCollector(engines), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// HTTPStarted counts a request in; the function it returns counts it out. route
// is the pattern that matched, never the client's path.
func (m *Metrics) HTTPStarted() (ended func(route string, code int)) {
	m.inFlight.Inc()
	return func(route string, code int) {
		m.inFlight.Dec()
		m.http.WithLabelValues(route, strconv.Itoa(code)).Inc()
	}
}

// Generation observes one request for text from its arrival to its end. It is
// used by one goroutine.
type Generation struct {
	m     *Metrics
	model string
	start time.Time
	last  time.Time // of the last delivery; zero: none yet
}

// Generation begins with the arrival of a request for model.
func (m *Metrics) Generation(model string) *Generation {
	return &Generation{m: m, model: model, start: time.Now()}
}

// Text notes that text was delivered.
func (g *Generation) Text() {
	t := time.Now()
	if g.last.IsZero() {
		g.m.first.WithLabelValues(g.model).Observe(t.Sub(g.start).Seconds())
	} else {
		g.m.gap.WithLabelValues(g.model).Observe(t.Sub(g.last).Seconds())
	}
	g.last = t
}

// Finished notes a choice's end.
func (g *Generation) Finished(reason llm.FinishReason) {
	g.m.finished.WithLabelValues(g.model, string(reason)).Inc()
}

// End notes the request's end, whatever it was.
func (g *Generation) End(u llm.Usage) {
	g.m.total.WithLabelValues(g.model).Observe(time.Since(g.start).Seconds())
	g.m.prompt.WithLabelValues(g.model).Observe(float64(u.Prompt))
	g.m.output.WithLabelValues(g.model).Observe(float64(u.Completion))
	g.m.reasoning.WithLabelValues(g.model).Add(float64(u.Reasoning))
}
