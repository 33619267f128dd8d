package metrics

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/reasond/reasond/internal/llm"
)

// run is a request whose choices are told what to have.
type run struct {
	tokens []int
	times  []llm.Timeline
}

func (r *run) Usage(c int) llm.Usage       { return llm.Usage{Completion: r.tokens[c]} }
func (r *run) Timeline(c int) llm.Timeline { return r.times[c] }

func newMetrics(t *testing.T, compat ...string) *Metrics {
	t.Helper()
	stats := llm.Stats{Running: 3, Waiting: 2, PagesTotal: 10, PagesFree: 4, PageTokens: 16, PrefixQueries: 9, PrefixHits: 7, Preemptions: 5, DraftTokens: 11, DraftAccepted: 4, Restarts: 1}
	m, err := New("v", func() []Source {
		return []Source{{"a", func() llm.Stats { return stats }}, {"b", func() llm.Stats { return llm.Stats{Running: 1} }}}
	}, compat...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// gathered finds one metric by its name and the labels given, all of them.
func gathered(t *testing.T, m *Metrics, name string, labels ...string) *dto.Metric {
	t.Helper()
	families, err := m.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var found *dto.Metric
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, metric := range f.Metric {
			var has []string
			for _, l := range metric.Label {
				has = append(has, l.GetName()+"="+l.GetValue())
			}
			if strings.Join(has, " ") != strings.Join(labels, " ") {
				continue
			}
			if found != nil {
				t.Errorf("%s%q twice", name, labels)
			}
			found = metric
		}
	}
	return found
}

// histogram is one's count and sum.
func histogram(t *testing.T, m *Metrics, name string, labels ...string) (uint64, float64) {
	t.Helper()
	if metric := gathered(t, m, name, labels...); metric != nil {
		return metric.Histogram.GetSampleCount(), metric.Histogram.GetSampleSum()
	}
	return 0, 0
}

// A choice is queued for 1 s and prefilled for 2, thinks from second 3 to 7, where
// its fifth token comes, answers at 8 and has ended at 10; another one of the
// same request has no thought and answers at 4.
func think(m *Metrics) {
	start := time.Now()
	r := &run{make([]int, 2), make([]llm.Timeline, 2)}
	g := m.Arrived("a")
	g.Started(r, 2)
	until := func(second int) time.Time {
		time.Sleep(time.Until(start.Add(time.Duration(second) * time.Second)))
		return time.Now()
	}
	event := func(choice, tokens int, kind llm.EventKind) {
		r.tokens[choice] = tokens
		g.Events([]llm.Event{{Choice: choice, Kind: kind, Text: "x"}}, time.Now())
	}
	now := until(3)
	r.times[0] = llm.Timeline{Thought: now, ThoughtEnd: now}
	event(0, 1, llm.EventReasoning)
	r.times[1].Answer = until(4)
	event(1, 2, llm.EventContent)
	r.times[0].ThoughtEnd = until(7)
	event(0, 5, llm.EventReasoning)
	r.times[0].Answer = until(8)
	event(0, 7, llm.EventToolCall)
	now = until(10)
	times := llm.Times{Accepted: start, Begun: start.Add(time.Second), First: start.Add(3 * time.Second), Ended: now}
	g.Events([]llm.Event{
		{Choice: 0, Kind: llm.EventFinish, ThoughtStop: "budget", Finish: &llm.Finish{Reason: llm.FinishToolCalls, Times: times}, Usage: &llm.Usage{Completion: 8, Reasoning: 5}},
		{Choice: 1, Kind: llm.EventFinish, Finish: &llm.Finish{Reason: llm.FinishStop}, Usage: &llm.Usage{Completion: 2}},
	}, time.Now())
	g.End(llm.Usage{Prompt: 20, Completion: 10, Reasoning: 5})
}

func TestThePhasesOfARequestAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetrics(t)
		think(m)
		for _, want := range []struct {
			name  string
			more  string
			count uint64
			sum   float64
		}{
			{"reasond_time_to_first_token_seconds", "", 1, 3},
			{"reasond_time_to_first_reasoning_seconds", "", 1, 3},
			{"reasond_time_to_first_answer_seconds", "", 2, 8 + 4},
			{"reasond_reasoning_seconds", "", 1, 4},
			{"reasond_request_reasoning_tokens", "", 1, 5},
			{"reasond_inter_token_latency_seconds", "phase=reasoning", 4, 4},      // tokens 2 to 5, from 3 to 7
			{"reasond_inter_token_latency_seconds", "phase=answer", 2 + 1, 1 + 2}, // 6 and 7, from 7 to 8; 8, from 8 to 10
			{"reasond_request_queue_time_seconds", "", 1, 1},
			{"reasond_request_prefill_time_seconds", "", 1, 2},
			{"reasond_request_decode_time_seconds", "", 1, 7},
			{"reasond_request_inference_time_seconds", "", 1, 9},
			{"reasond_request_time_per_output_token_seconds", "", 1, 1}, // 7 s for 7 tokens
			{"reasond_e2e_request_latency_seconds", "", 1, 10},
			{"reasond_request_prompt_tokens", "", 1, 20},
			{"reasond_request_generation_tokens", "", 1, 10},
			{"reasond_request_params_n", "", 1, 2},
		} {
			labels := append([]string{"model=a"}, strings.Fields(want.more)...)
			if n, sum := histogram(t, m, want.name, labels...); n != want.count || math.Abs(sum-want.sum) > 1e-9 {
				t.Errorf("%s %s: %d observations, %g in all; want %d, %g", want.name, want.more, n, sum, want.count, want.sum)
			}
		}
		for _, labels := range [][]string{{"finished_reason=stop", "model=a"}, {"finished_reason=tool_calls", "model=a"}} {
			if c := gathered(t, m, "reasond_request_success_total", labels...); c.GetCounter().GetValue() != 1 {
				t.Errorf("%q: %v", labels, c)
			}
		}
		if c := gathered(t, m, "reasond_reasoning_stops_total", "model=a", "reasoning_stop=budget"); c.GetCounter().GetValue() != 1 {
			t.Errorf("%v", c)
		}
	})
}

// Who leaves during a thought that is not shown has been thought for.
func TestWhatIsKnownOfAnAbandonedRequestCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetrics(t)
		r := &run{make([]int, 1), make([]llm.Timeline, 1)}
		g := m.Arrived("a")
		g.Started(r, 1)
		time.Sleep(time.Second)
		r.times[0].Thought = time.Now()
		time.Sleep(2 * time.Second)
		r.times[0].ThoughtEnd = time.Now()
		g.End(llm.Usage{Prompt: 20})
		for name, want := range map[string]float64{"reasond_time_to_first_reasoning_seconds": 1, "reasond_reasoning_seconds": 2, "reasond_e2e_request_latency_seconds": 3} {
			if n, sum := histogram(t, m, name, "model=a"); n != 1 || sum != want {
				t.Errorf("%s: %d observations, %g in all; want one of %g", name, n, sum, want)
			}
		}
		if n, _ := histogram(t, m, "reasond_time_to_first_answer_seconds", "model=a"); n != 0 {
			t.Error("there was no answer")
		}
	})
}

// Who fails before a token has waited for none.
func TestARequestWithoutATokenHasNoFirstOne(t *testing.T) {
	m := newMetrics(t)
	for completion, count := range []uint64{0, 1} {
		g := m.Arrived("a")
		g.Started(&run{[]int{completion}, make([]llm.Timeline, 1)}, 1)
		g.Events([]llm.Event{
			{Kind: llm.EventPrompt},
			{Kind: llm.EventFinish, Finish: &llm.Finish{Reason: llm.FinishError}, Usage: &llm.Usage{Completion: completion}},
		}, time.Now())
		if n, _ := histogram(t, m, "reasond_inter_token_latency_seconds", "model=a", "phase=answer"); n != 0 {
			t.Errorf("%d tokens: %d gaps", completion, n)
		}
		if n, _ := histogram(t, m, "reasond_time_to_first_token_seconds", "model=a"); n != count {
			t.Errorf("%d tokens: observed %d times", completion, n)
		}
	}
}

func TestAnEngineWithoutTimesObservesNone(t *testing.T) {
	m := newMetrics(t)
	g := m.Arrived("a")
	g.Started(&run{[]int{2}, make([]llm.Timeline, 1)}, 1)
	g.Events([]llm.Event{{Kind: llm.EventFinish, Finish: &llm.Finish{Reason: llm.FinishStop}, Usage: &llm.Usage{Completion: 2}}}, time.Now())
	for _, name := range []string{"queue_time", "prefill_time", "decode_time", "inference_time", "time_per_output_token"} {
		if n, _ := histogram(t, m, "reasond_request_"+name+"_seconds", "model=a"); n != 0 {
			t.Errorf("%s was observed", name)
		}
	}
}
