package server

import (
	"context"
	"testing"

	"github.com/reasond/reasond/internal/llm"
)

// closing is a source whose thought can be ended, or not.
type closing struct {
	source
	live   bool
	closed int
}

func (c *closing) CloseThought() bool {
	c.closed++
	return c.live
}

func (c *closing) Next(context.Context) ([]llm.Event, error) { return nil, nil }

func TestOnlyTheKeyThatAskedReachesAChat(t *testing.T) {
	var l live
	a, b := &closing{live: true}, &closing{}
	done := l.add("a", "one", a)
	l.add("a", "two", b) // the id is taken
	if _, ok := l.find("a", "two"); ok {
		t.Error("another key reaches a chat")
	}
	if c, ok := l.find("a", "one"); !ok || !c.answer() || a.closed != 1 || b.closed != 0 {
		t.Errorf("its own key does not: %v, %+v, %+v", ok, a, b)
	}
	done()
	if _, ok := l.find("a", "one"); ok || len(l.chats) != 0 {
		t.Error("a chat that is over is still there")
	}
}
