package remote

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// health is an upstream of which only the health is asked.
type health struct {
	status atomic.Int32
	asked  atomic.Int32
}

func (h *health) RoundTrip(r *http.Request) (*http.Response, error) {
	h.asked.Add(1)
	return &http.Response{StatusCode: int(h.status.Load()), Body: http.NoBody, Header: http.Header{}, Request: r}, nil
}

func TestAnUpstreamThatStopsAnsweringIsNoticedAndSoIsItsReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &health{}
		e, err := New(Config{BaseURL: "http://upstream", Kind: "vllm", Transport: up, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		e.Watch(time.Second)
		for i, status := range []int32{200, 503, 503, 200} {
			up.status.Store(status)
			time.Sleep(time.Second)
			synctest.Wait()
			if got := e.Stats().Unreachable; got != (status != 200) {
				t.Errorf("look %d, status %d: unreachable is %v", i, status, got)
			}
		}
		asked := up.asked.Load()
		e.stats.submitted()
		time.Sleep(10 * time.Second)
		if n := up.asked.Load(); n != asked {
			t.Errorf("asked %d times while a request ran", n-asked)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		asked = up.asked.Load()
		time.Sleep(time.Minute)
		if n := up.asked.Load(); n != asked || n == 0 {
			t.Errorf("asked %d times, %d more after Close", asked, n-asked)
		}
		e.Watch(time.Second) // a closed engine does not begin again
	})
}
