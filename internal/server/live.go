package server

import (
	"net/http"
	"strings"
	"sync"

	"github.com/go-chi/chi/v5"

	"github.com/reasond/reasond/internal/llm"
)

// live is the chats that are being answered and whose thought a client may end,
// by the ids of their answers.
type live struct {
	mu    sync.Mutex
	chats map[string]liveChat
}

// liveChat is one of them. Only the key that asked for it may reach it.
type liveChat struct {
	tenant string
	answer func() bool
}

// closer is a source whose thoughts can be ended.
type closer interface{ CloseThought() bool }

// add registers a chat until done is called. An id that is in use stays with the
// chat that has it.
func (l *live) add(id, tenant string, run source) (done func()) {
	c, ok := run.(closer)
	if !ok {
		return func() {}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, taken := l.chats[id]; taken {
		return func() {}
	}
	if l.chats == nil {
		l.chats = map[string]liveChat{}
	}
	l.chats[id] = liveChat{tenant, c.CloseThought}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.chats, id)
	}
}

func (l *live) find(id, tenant string) (liveChat, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.chats[id]
	return c, ok && c.tenant == tenant
}

// answerNow is POST /v1/chat/completions/{id}/answer_now: the thoughts of a chat
// that is being answered end with their next token. The chat must have asked for
// it (reasoning_control).
func (s *Server) answerNow(w http.ResponseWriter, r *http.Request) {
	id := chi.URLParam(r, "id")
	c, ok := s.live.find(id, exchangeOf(r.Context()).tenant)
	switch {
	case !ok:
		s.fail(w, r, &llm.Error{Kind: llm.NotFound, Code: "chat_not_found", Message: "no chat with this id is being answered"})
	case !c.answer():
		s.fail(w, r, llm.Errorf(llm.Invalid, "reasoning_control", "this chat's thought cannot be ended: it did not ask for reasoning_control"))
	default:
		writeJSON(w, map[string]any{"id": strings.Clone(id), "object": "chat.completion.answer_now", "accepted": true})
	}
}
