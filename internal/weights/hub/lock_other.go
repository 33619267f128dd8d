//go:build !unix

package hub

import (
	"context"
	"sync"
)

var locks sync.Map // name -> chan struct{} of one slot

// lockFile excludes the downloads of this process only: the platform has no
// flock.
func lockFile(ctx context.Context, name string) (unlock func(), err error) {
	slot, _ := locks.LoadOrStore(name, make(chan struct{}, 1))
	ch := slot.(chan struct{})
	select {
	case ch <- struct{}{}:
		return func() { <-ch }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
