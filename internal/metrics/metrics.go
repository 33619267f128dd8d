// Package metrics holds the Prometheus collectors: what the server observes of
// requests, and what the engines report of themselves. It owns its registry and
// starts nothing. Names begin with reasond_ and otherwise follow vLLM's; compat.go
// exports the same figures under other servers' names.
package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/reasond/reasond/internal/llm"
)

// Metrics is the set of collectors of one server. Its methods are safe for
// concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	compat   []*dialect
	http     *prometheus.CounterVec
	inFlight prometheus.Gauge

	// Of requests.
	first, total, prompt, output, params *prometheus.HistogramVec
	// Of choices.
	finished, reasoned, stops                *prometheus.CounterVec
	firstThought, firstAnswer                *prometheus.HistogramVec
	thinking, thoughts, gap, perToken        *prometheus.HistogramVec
	queued, prefilled, decoded, inferredTime *prometheus.HistogramVec
}

// Source is one engine to report on.
type Source struct {
	Model string // the label's value
	Stats func() llm.Stats
}

// The label of inter-token latencies: which part of the answer a token is of.
const (
	phaseReasoning = "reasoning"
	phaseAnswer    = "answer"
)

var (
	seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}
	gaps    = []float64{.0005, .001, .0025, .005, .01, .02, .03, .05, .075, .1, .15, .25, .5, 1, 2.5, 5}
	tokens  = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144}
	choices = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}
)

// New makes the collectors. Each scrape asks engines what there is to report on.
// compat names the servers under whose names the figures are exported too, see
// Compat; a name that is not among them is an error.
func New(version string, engines func() []Source, compat ...string) (*Metrics, error) {
	m := &Metrics{registry: prometheus.NewRegistry()}
	for _, name := range compat {
		d, err := dialectOf(name)
		if err != nil {
			return nil, err
		}
		m.compat = append(m.compat, d)
	}
	m.http = m.counter("reasond_http_requests_total", "HTTP requests by route and status code.", "route", "code")
	m.inFlight = prometheus.NewGauge(prometheus.GaugeOpts{Name: "reasond_http_requests_active", Help: "HTTP requests being answered."})

	m.first = m.histogram("reasond_time_to_first_token_seconds", "From a request's arrival to its first text, be it shown or not.", seconds)
	m.total = m.histogram("reasond_e2e_request_latency_seconds", "From a request's arrival to its end.", seconds)
	m.prompt = m.histogram("reasond_request_prompt_tokens", "Prompt tokens of a request.", tokens)
	m.output = m.histogram("reasond_request_generation_tokens", "Generated tokens of a request, all choices.", tokens)
	m.params = m.histogram("reasond_request_params_n", "Choices of a request, of all its prompts.", choices)

	m.finished = m.counter("reasond_request_success_total", "Choices that ended, by finish reason.", "model", "finished_reason")
	m.reasoned = m.counter("reasond_reasoning_tokens_total", "Tokens of reasoning text generated.", "model")
	m.stops = m.counter("reasond_reasoning_stops_total", "Thoughts that ended, by why: natural, budget, loop, client, length.", "model", "reasoning_stop")
	m.firstThought = m.histogram("reasond_time_to_first_reasoning_seconds", "From a request's arrival to a choice's first token of reasoning, be it shown or not.", seconds)
	m.firstAnswer = m.histogram("reasond_time_to_first_answer_seconds", "From a request's arrival to a choice's first content or tool call.", seconds)
	m.thinking = m.histogram("reasond_reasoning_seconds", "From a choice's first token of reasoning to its last.", seconds)
	m.thoughts = m.histogram("reasond_request_reasoning_tokens", "Tokens of reasoning of a choice that reasoned.", tokens)
	m.gap = m.histogram("reasond_inter_token_latency_seconds", "Time of each token after a choice's first, by the part of the answer that it is of.", gaps, "phase")
	m.perToken = m.histogram("reasond_request_time_per_output_token_seconds", "A choice's mean time of a token after the first.", gaps)
	m.queued = m.histogram("reasond_request_queue_time_seconds", "From the engine's taking a request to the first step with a token of it.", seconds)
	m.prefilled = m.histogram("reasond_request_prefill_time_seconds", "From there to the first token sampled.", seconds)
	m.decoded = m.histogram("reasond_request_decode_time_seconds", "From there to the choice's end.", seconds)
	m.inferredTime = m.histogram("reasond_request_inference_time_seconds", "Prefill and decode time together.", seconds)

	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "reasond_build_info", Help: "Always 1; the label says the version.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(m.inFlight, build, engineCollector(engines),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m, nil
}

// histogram makes and registers one; model is its first label.
func (m *Metrics) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, append([]string{"model"}, labels...))
	m.registry.MustRegister(h)
	return h
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
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
