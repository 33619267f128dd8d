package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reasond/reasond/internal/llm"
)

// engineMetric is one figure of llm.Stats under its name.
type engineMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(llm.Stats) float64
}

func gauge(name, help string, value func(llm.Stats) float64) engineMetric {
	return engineMetric{prometheus.NewDesc(name, help, []string{"model"}, nil), prometheus.GaugeValue, value}
}

func count(name, help string, value func(llm.Stats) uint64) engineMetric {
	return engineMetric{prometheus.NewDesc(name, help, []string{"model"}, nil), prometheus.CounterValue,
		func(s llm.Stats) float64 { return float64(value(s)) }}
}

var engineMetrics = []engineMetric{
	gauge("reasond_num_requests_running", "Requests that the engine is generating for.", func(s llm.Stats) float64 { return float64(s.Running) }),
	gauge("reasond_num_requests_waiting", "Requests in the engine's queue.", func(s llm.Stats) float64 { return float64(s.Waiting) }),
	gauge("reasond_kv_cache_usage_ratio", "KV pages that cannot be given away, of all pages; 0 to 1.", usage),
	gauge("reasond_kv_pages", "KV pages in all.", func(s llm.Stats) float64 { return float64(s.PagesTotal) }),
	gauge("reasond_kv_pages_free", "KV pages that a request can have, cached ones included.", func(s llm.Stats) float64 { return float64(s.PagesFree) }),
	gauge("reasond_kv_pages_cached", "KV pages that hold reusable prefixes and belong to no request.", func(s llm.Stats) float64 { return float64(s.PagesCached) }),
	gauge("reasond_engine_stalled", "1 while a step has run longer than the stall limit.", stalled),
	gauge("reasond_weight_bytes", "Memory that holds weights.", func(s llm.Stats) float64 { return float64(s.WeightBytes) }),
	gauge("reasond_weight_file_bytes", "The same weights' bytes in their file.", func(s llm.Stats) float64 { return float64(s.WeightFileBytes) }),
	count("reasond_engine_steps_total", "Engine steps.", func(s llm.Stats) uint64 { return s.Steps }),
	count("reasond_engine_rows_total", "Token rows computed, prefill and decode.", func(s llm.Stats) uint64 { return s.Rows }),
	count("reasond_prompt_tokens_total", "Prompt tokens submitted.", func(s llm.Stats) uint64 { return s.PromptTokens }),
	count("reasond_prompt_tokens_cached_total", "Of these, taken from the prefix cache.", func(s llm.Stats) uint64 { return s.CachedTokens }),
	count("reasond_prefill_tokens_total", "Prompt rows computed.", func(s llm.Stats) uint64 { return s.PrefillTokens }),
	count("reasond_generation_tokens_total", "Tokens sampled.", func(s llm.Stats) uint64 { return s.OutputTokens }),
	count("reasond_num_preemptions_total", "Sequences whose pages were taken and that are computed again.", func(s llm.Stats) uint64 { return s.Preemptions }),
	count("reasond_draft_tokens_total", "Tokens guessed before they were sampled.", func(s llm.Stats) uint64 { return s.DraftTokens }),
	count("reasond_draft_tokens_accepted_total", "Of these, the ones that were right.", func(s llm.Stats) uint64 { return s.DraftAccepted }),
	count("reasond_engine_restarts_total", "Devices that were lost and opened anew.", func(s llm.Stats) uint64 { return s.Restarts }),
	count("reasond_prefix_cache_queries_total", "Tokens looked up in the prefix cache.", func(s llm.Stats) uint64 { return s.PrefixQueries }),
	count("reasond_prefix_cache_hits_total", "Tokens found in the prefix cache.", func(s llm.Stats) uint64 { return s.PrefixHits }),
}

// cacheInfo is not a number but labels: how large the KV cache is.
var cacheInfo = prometheus.NewDesc("reasond_kv_cache_info", "Always 1; the labels say how many KV pages there are, and how many tokens each holds.", []string{"model", "pages", "page_tokens"}, nil)

func usage(s llm.Stats) float64 {
	if s.PagesTotal == 0 {
		return 0
	}
	return float64(s.PagesTotal-s.PagesFree) / float64(s.PagesTotal)
}

func stalled(s llm.Stats) float64 {
	if s.Stalled {
		return 1
	}
	return 0
}

// engineCollector takes one snapshot an engine for each scrape.
type engineCollector func() []Source

func (engineCollector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range engineMetrics {
		out <- m.desc
	}
	out <- cacheInfo
}

func (c engineCollector) Collect(out chan<- prometheus.Metric) {
	for _, source := range c() {
		stats := source.Stats()
		for _, m := range engineMetrics {
			out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(stats), source.Model)
		}
		if stats.PageTokens > 0 {
			out <- prometheus.MustNewConstMetric(cacheInfo, prometheus.GaugeValue, 1, source.Model, strconv.Itoa(stats.PagesTotal), strconv.Itoa(stats.PageTokens))
		}
	}
}
