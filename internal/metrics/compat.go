package metrics

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// dialect exports figures of ours under another server's names, with its labels.
// The figures are renamed copies: they agree with ours at every scrape.
type dialect struct {
	names  map[string][]string          // their names by our name
	labels map[string]string            // their label by ours; one that is not there is left out, and the figures are added up
	values map[string]map[string]string // by our label: their value by ours, where it is another
	fixed  []*dto.LabelPair             // labels that each of theirs has besides
}

// dialects are the servers by the names of --metrics-compat.
var dialects = map[string]*dialect{
	// vLLM 0.33, vllm/v1/metrics/loggers.py. gpu_cache_usage_perc is the older name
	// of kv_cache_usage_perc that the gateway of Kubernetes' inference extension
	// reads too; time_per_output_token_seconds that of inter_token_latency_seconds.
	"vllm": {
		names: map[string][]string{
			"reasond_num_requests_running":                  {"vllm:num_requests_running"},
			"reasond_num_requests_waiting":                  {"vllm:num_requests_waiting"},
			"reasond_kv_cache_usage_ratio":                  {"vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"},
			"reasond_kv_cache_info":                         {"vllm:cache_config_info"},
			"reasond_prefix_cache_queries_total":            {"vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total"},
			"reasond_prefix_cache_hits_total":               {"vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"},
			"reasond_num_preemptions_total":                 {"vllm:num_preemptions_total"},
			"reasond_draft_tokens_total":                    {"vllm:spec_decode_num_draft_tokens_total"},
			"reasond_draft_tokens_accepted_total":           {"vllm:spec_decode_num_accepted_tokens_total"},
			"reasond_prompt_tokens_total":                   {"vllm:prompt_tokens_total"},
			"reasond_prompt_tokens_cached_total":            {"vllm:prompt_tokens_cached_total"},
			"reasond_generation_tokens_total":               {"vllm:generation_tokens_total"},
			"reasond_request_success_total":                 {"vllm:request_success_total"},
			"reasond_time_to_first_token_seconds":           {"vllm:time_to_first_token_seconds"},
			"reasond_inter_token_latency_seconds":           {"vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"},
			"reasond_request_time_per_output_token_seconds": {"vllm:request_time_per_output_token_seconds"},
			"reasond_e2e_request_latency_seconds":           {"vllm:e2e_request_latency_seconds"},
			"reasond_request_queue_time_seconds":            {"vllm:request_queue_time_seconds"},
			"reasond_request_prefill_time_seconds":          {"vllm:request_prefill_time_seconds"},
			"reasond_request_decode_time_seconds":           {"vllm:request_decode_time_seconds"},
			"reasond_request_inference_time_seconds":        {"vllm:request_inference_time_seconds"},
			"reasond_request_prompt_tokens":                 {"vllm:request_prompt_tokens"},
			"reasond_request_generation_tokens":             {"vllm:request_generation_tokens"},
			"reasond_request_params_n":                      {"vllm:request_params_n"},
		},
		labels: map[string]string{"model": "model_name", "finished_reason": "finished_reason", "page_tokens": "block_size", "pages": "num_gpu_blocks"},
		values: map[string]map[string]string{"finished_reason": {"tool_calls": "stop"}}, // what its engine calls them
		fixed:  []*dto.LabelPair{pair("engine", "0")},
	},
	// SGLang 0.5.23, python/sglang/srt/observability/metrics_collector.py.
	"sglang": {
		names: map[string][]string{
			"reasond_num_requests_running":        {"sglang:num_running_reqs"},
			"reasond_num_requests_waiting":        {"sglang:num_queue_reqs"},
			"reasond_kv_cache_usage_ratio":        {"sglang:token_usage"},
			"reasond_prompt_tokens_total":         {"sglang:prompt_tokens_total"},
			"reasond_prompt_tokens_cached_total":  {"sglang:cached_tokens_total"},
			"reasond_generation_tokens_total":     {"sglang:generation_tokens_total"},
			"reasond_request_success_total":       {"sglang:num_requests_total"},
			"reasond_time_to_first_token_seconds": {"sglang:time_to_first_token_seconds"},
			"reasond_inter_token_latency_seconds": {"sglang:inter_token_latency_seconds"},
			"reasond_e2e_request_latency_seconds": {"sglang:e2e_request_latency_seconds"},
			"reasond_request_queue_time_seconds":  {"sglang:queue_time_seconds"},
			"reasond_request_prompt_tokens":       {"sglang:prompt_tokens_histogram"},
			"reasond_request_generation_tokens":   {"sglang:generation_tokens_histogram"},
		},
		labels: map[string]string{"model": "model_name"},
	},
	// llama.cpp, tools/server/README.md. No labels: several models are added up.
	"llamacpp": {
		names: map[string][]string{
			"reasond_num_requests_running":       {"llamacpp:requests_processing"},
			"reasond_num_requests_waiting":       {"llamacpp:requests_deferred"},
			"reasond_prompt_tokens_total":        {"llamacpp:prompt_tokens_total"},
			"reasond_prompt_tokens_cached_total": {"llamacpp:prompt_tokens_cached_total"},
			"reasond_generation_tokens_total":    {"llamacpp:tokens_predicted_total"},
			"reasond_engine_steps_total":         {"llamacpp:n_decode_total"},
		},
	},
}

// Compat are the names that New takes.
func Compat() []string { return slices.Sorted(maps.Keys(dialects)) }

func dialectOf(name string) (*dialect, error) {
	if d, ok := dialects[name]; ok {
		return d, nil
	}
	return nil, fmt.Errorf("metrics: no server %q to be compatible with; there are %s", name, strings.Join(Compat(), ", "))
}

// Gather implements prometheus.Gatherer: our figures, and their copies.
func (m *Metrics) Gather() ([]*dto.MetricFamily, error) {
	families, err := m.registry.Gather()
	for _, ours := range families {
		for _, d := range m.compat {
			families = append(families, d.copies(ours)...)
		}
	}
	slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return families, err
}

var _ prometheus.Gatherer = (*Metrics)(nil)

// copies are a family under the dialect's names; none where it has none.
func (d *dialect) copies(ours *dto.MetricFamily) []*dto.MetricFamily {
	names := d.names[ours.GetName()]
	if names == nil {
		return nil
	}
	metrics := d.translated(ours.Metric)
	var copies []*dto.MetricFamily
	for _, name := range names {
		copies = append(copies, &dto.MetricFamily{Name: &name, Help: ours.Help, Type: ours.Type, Metric: metrics})
	}
	return copies
}

// translated gives metrics the dialect's labels; those that then have the same
// are one.
func (d *dialect) translated(ours []*dto.Metric) []*dto.Metric {
	var theirs []*dto.Metric
	place := map[string]int{}
	for _, o := range ours {
		t := &dto.Metric{Label: slices.Clone(d.fixed), Gauge: o.Gauge, Counter: o.Counter, Histogram: o.Histogram}
		for _, l := range o.Label {
			if name, ok := d.labels[l.GetName()]; ok {
				t.Label = append(t.Label, pair(name, d.value(l)))
			}
		}
		slices.SortFunc(t.Label, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
		key := fmt.Sprint(t.Label)
		if i, ok := place[key]; ok {
			theirs[i] = sum(theirs[i], t)
			continue
		}
		place[key] = len(theirs)
		theirs = append(theirs, t)
	}
	return theirs
}

func (d *dialect) value(l *dto.LabelPair) string {
	if v, ok := d.values[l.GetName()][l.GetValue()]; ok {
		return v
	}
	return l.GetValue()
}

func pair(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }

// sum adds two metrics of one family; a's labels hold.
func sum(a, b *dto.Metric) *dto.Metric {
	t := &dto.Metric{Label: a.Label}
	switch {
	case a.Counter != nil:
		t.Counter = &dto.Counter{Value: add(a.Counter.Value, b.Counter.Value)}
	case a.Gauge != nil:
		t.Gauge = &dto.Gauge{Value: add(a.Gauge.Value, b.Gauge.Value)}
	case a.Histogram != nil:
		h := &dto.Histogram{SampleCount: add(a.Histogram.SampleCount, b.Histogram.SampleCount), SampleSum: add(a.Histogram.SampleSum, b.Histogram.SampleSum)}
		for i, bucket := range a.Histogram.Bucket { // of one family: the same bounds
			h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: bucket.UpperBound,
				CumulativeCount: add(bucket.CumulativeCount, b.Histogram.Bucket[i].CumulativeCount)})
		}
		t.Histogram = h
	}
	return t
}

func add[T float64 | uint64](a, b *T) *T {
	c := *a + *b
	return &c
}
