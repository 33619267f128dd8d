package bell

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestARingBeforeTheWaitIsHeard(t *testing.T) {
	b := New()
	b.Ring()
	b.Ring()
	if err := b.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { // the two were one
		b := New()
		b.Ring()
		b.Ring()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := b.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// A context that has ended ends every Wait for it, whatever was rung before, and
// none for another one.
func TestTheEndOfAContextEndsItsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		var ctx context.Context
		ends := func() { // once the rings before are over
			t.Helper()
			for range 3 {
				if err := b.Wait(ctx); errors.Is(err, context.DeadlineExceeded) {
					return
				}
			}
			t.Fatal("it goes on")
		}
		for range 3 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			ends()
			if took := time.Since(start); took != time.Second {
				t.Fatalf("it took %v", took)
			}
			ends()
			b.Ring()
			ends()
		}
		other, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		for range 4 { // the ends of the others may still ring
			go func() { time.Sleep(time.Minute); b.Ring() }()
			if err := b.Wait(other); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Nothing that was put before a Ring is missed, however Rings and Waits meet.
func TestNothingIsMissed(t *testing.T) {
	const each, ringers = 2000, 4
	b := New()
	var mu sync.Mutex
	box := 0
	for range ringers {
		go func() {
			for range each {
				mu.Lock()
				box++
				mu.Unlock()
				b.Ring()
			}
		}()
	}
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		n := box
		box = 0
		return n
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for got := take(); got < each*ringers; got += take() {
		if err := b.Wait(ctx); err != nil {
			t.Fatalf("after %d: %v", got, err)
		}
	}
}

// A bell that has forgotten a context leaves nothing behind.
func TestAForgottenContextDoesNotRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		ctx, cancel := context.WithCancel(t.Context())
		b.Ring()
		if err := b.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		b.Forget()
		cancel()
		synctest.Wait()
		if len(b.rung) > 0 {
			t.Error("it rang")
		}
	})
}
