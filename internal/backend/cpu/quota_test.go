package cpu

import "testing"

// A quota's whole processors get a thread each, and at least one is there; what is
// left of one must be worth the stops.
func TestThreadsFollowTheQuota(t *testing.T) {
	for quota, want := range map[float64]int{0.1: 1, 0.75: 1, 1: 1, 1.5: 1, 1.74: 1, 1.75: 2, 2: 2, 2.5: 2, 7.99: 8, 64: 64} {
		if got := threadsOf(quota); got != want {
			t.Errorf("%g processors: %d threads, want %d", quota, got, want)
		}
	}
}
