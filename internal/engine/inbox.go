package engine

import "sync"

// message is what others tell the loop.
type message struct {
	kind   messageKind
	req    *request
	choice int // of stopped
}

type messageKind uint8

const (
	submitted messageKind = iota
	cancelled             // end all choices
	stopped               // end one choice, whose stream has its finish already
)

// inbox is the loop's unbounded queue; what bounds it is the number of live
// requests. Posting never blocks.
type inbox struct {
	mu     sync.Mutex
	closed bool
	queue  []message
	spare  []message
	wake   chan struct{} // capacity 1: something is in the queue
}

// post returns false when the engine has been closed.
func (b *inbox) post(m message) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.queue = append(b.queue, m)
	b.signal()
	return true
}

// close refuses further messages; it returns false if it was closed before.
func (b *inbox) close() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := !b.closed
	b.closed = true
	b.signal()
	return first
}

func (b *inbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *inbox) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// take returns the messages so far, valid until the next call.
func (b *inbox) take() []message {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.queue
	clear(b.spare)
	b.queue, b.spare = b.spare[:0], got
	return got
}
