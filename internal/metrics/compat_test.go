package metrics

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	dto "github.com/prometheus/client_model/go"
)

// The names, kinds and labels are those of vLLM's page of metrics and of the
// model server protocol of Kubernetes' gateway inference extension.
func TestTheFiguresOfVLLMAreOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetrics(t, "vllm")
		think(m)
		labels := []string{"engine=0", "model_name=a"}
		for name, want := range map[string]float64{
			"vllm:num_requests_running": 3, "vllm:num_requests_waiting": 2,
			"vllm:kv_cache_usage_perc": .6, "vllm:gpu_cache_usage_perc": .6,
			"vllm:prefix_cache_queries_total": 9, "vllm:prefix_cache_hits_total": 7, "vllm:num_preemptions_total": 5,
			"vllm:spec_decode_num_draft_tokens_total": 11, "vllm:spec_decode_num_accepted_tokens_total": 4,
			"vllm:prompt_tokens_total": 0, "vllm:generation_tokens_total": 0,
		} {
			metric := gathered(t, m, name, labels...)
			got := metric.GetGauge().GetValue()
			if strings.HasSuffix(name, "_total") {
				got = metric.GetCounter().GetValue()
			}
			if metric == nil || got != want {
				t.Errorf("%s: %v, want %g", name, metric, want)
			}
		}
		for name, want := range map[string]struct {
			count uint64
			sum   float64
		}{
			"vllm:time_to_first_token_seconds":           {1, 3},
			"vllm:inter_token_latency_seconds":           {7, 7}, // of both phases
			"vllm:time_per_output_token_seconds":         {7, 7},
			"vllm:request_time_per_output_token_seconds": {1, 1},
			"vllm:e2e_request_latency_seconds":           {1, 10},
			"vllm:request_queue_time_seconds":            {1, 1},
			"vllm:request_prefill_time_seconds":          {1, 2},
			"vllm:request_decode_time_seconds":           {1, 7},
			"vllm:request_inference_time_seconds":        {1, 9},
			"vllm:request_prompt_tokens":                 {1, 20},
			"vllm:request_generation_tokens":             {1, 10},
			"vllm:request_params_n":                      {1, 2},
		} {
			if n, sum := histogram(t, m, name, labels...); n != want.count || sum != want.sum {
				t.Errorf("%s: %d observations, %g in all; want %d, %g", name, n, sum, want.count, want.sum)
			}
		}
		if c := gathered(t, m, "vllm:request_success_total", "engine=0", "finished_reason=stop", "model_name=a"); c.GetCounter().GetValue() != 2 {
			t.Errorf("both choices ended with what vLLM's engine calls stop: %v", c)
		}
		if c := gathered(t, m, "vllm:cache_config_info", "block_size=16", "engine=0", "model_name=a", "num_gpu_blocks=10"); c.GetGauge().GetValue() != 1 {
			t.Errorf("%v", c)
		}
		if b := gathered(t, m, "vllm:inter_token_latency_seconds", labels...).Histogram.Bucket; b[len(b)-1].GetCumulativeCount() != 7 {
			t.Errorf("buckets are not added up: %v", b)
		}
	})
}

func TestLabelsThatAServerHasNotAreAddedUp(t *testing.T) {
	m := newMetrics(t, "llamacpp", "sglang")
	if g := gathered(t, m, "llamacpp:requests_processing"); g.GetGauge().GetValue() != 4 {
		t.Errorf("two models run 3 and 1 requests: %v", g)
	}
	if g := gathered(t, m, "sglang:num_queue_reqs", "model_name=a"); g.GetGauge().GetValue() != 2 {
		t.Errorf("%v", g)
	}
}

// Ours are there whatever else is, and a copy has the kind that its name says.
func TestCopiesStandBesideOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plain, all := newMetrics(t), newMetrics(t, Compat()...)
		think(plain)
		think(all)
		want, got := names(t, plain), names(t, all)
		for name := range want {
			if got[name] != want[name] {
				t.Errorf("%s is %v", name, got[name])
			}
			if strings.Contains(name, ":") {
				t.Errorf("%s was not asked for", name)
			}
		}
		for _, d := range dialects {
			for ours, theirs := range d.names {
				if _, ok := want[ours]; !ok {
					t.Errorf("there is no %s to copy", ours)
				}
				for _, name := range theirs {
					if got[name] != want[ours] || strings.HasSuffix(name, "_total") != (want[ours] == dto.MetricType_COUNTER) {
						t.Errorf("%s: %v, of %s: %v", name, got[name], ours, want[ours])
					}
				}
			}
		}
	})
	if _, err := New("v", nil, "tgi"); err == nil || !strings.Contains(err.Error(), "llamacpp, sglang, vllm") {
		t.Errorf("an unknown server: %v", err)
	}
}

// names are the families and what kind each is; they come in order.
func names(t *testing.T, m *Metrics) map[string]dto.MetricType {
	t.Helper()
	families, err := m.Gather()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]dto.MetricType{}
	if !slices.IsSortedFunc(families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) }) {
		t.Error("the families are not in order")
	}
	for _, f := range families {
		if _, twice := kinds[f.GetName()]; twice {
			t.Errorf("%s twice", f.GetName())
		}
		kinds[f.GetName()] = f.GetType()
	}
	return kinds
}
