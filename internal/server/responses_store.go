package server

import (
	"container/list"
	"context"
	"sync"

	"github.com/reasond/reasond/api/responses"
)

// responseStore holds responses in memory: those that have ended, by key and
// within bounds, the least recently used going first; and those that run, kept
// or not, so that they can be cancelled. Everything is reached only with the API
// key that made it.
type responseStore struct {
	most      int // responses of a key
	mostBytes int // of these, about

	mu      sync.Mutex
	shelves map[string]*shelf
	running map[string]*runningResponse
}

// shelf is the responses of one key. Whatever a response goes on from lies in
// front of it, so that a conversation goes from its end: none is kept whose
// beginning is gone, unless it was deleted.
type shelf struct {
	order *list.List // of *storedResponse, the last used first
	byID  map[string]*list.Element
	items map[string]*storedResponse // by the ids of items
	bytes int
}

// storedResponse is one of them. It does not change.
type storedResponse struct {
	response responses.Response
	previous string
	input    []responses.Item
	bytes    int
}

// runningResponse is one that is being made.
type runningResponse struct {
	tenant string
	start  *responses.Response // nil: it is not stored
	cancel context.CancelCauseFunc
	done   chan struct{}      // closed at the end; then
	end    responses.Response // is set
}

func newResponseStore(most, mostBytes, keys int) *responseStore {
	keys = max(keys, 1) // each has its even share
	return &responseStore{most: max(most/keys, 1), mostBytes: mostBytes / keys, shelves: map[string]*shelf{}, running: map[string]*runningResponse{}}
}

// begin registers a response that runs.
func (s *responseStore) begin(tenant string, r responses.Response, cancel context.CancelCauseFunc) *runningResponse {
	run := &runningResponse{tenant: tenant, cancel: cancel, done: make(chan struct{})}
	if r.Store {
		run.start = &r
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[r.ID] = run
	return run
}

// end replaces a response that runs by what it has become, which is kept if it
// was to be stored and somebody knows of it.
func (s *responseStore) end(run *runningResponse, r responses.Response, input []responses.Item, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, r.ID)
	run.end = r
	close(run.done)
	if r.Store && known {
		s.add(run.tenant, r, input)
	}
}

func (s *responseStore) add(tenant string, r responses.Response, input []responses.Item) {
	e := &storedResponse{response: r, input: input, bytes: r.Bytes()}
	if r.PreviousResponseID != nil {
		e.previous = *r.PreviousResponseID
	}
	for i := range input {
		e.bytes += input[i].Bytes()
	}
	h := s.shelves[tenant]
	if h == nil {
		h = &shelf{order: list.New(), byID: map[string]*list.Element{}, items: map[string]*storedResponse{}}
		s.shelves[tenant] = h
	}
	h.byID[r.ID] = h.order.PushFront(e)
	h.bytes += e.bytes
	e.eachItem(func(it *responses.Item) {
		if h.items[it.ID] == nil {
			h.items[it.ID] = e
		}
	})
	h.use(e)
	for h.order.Len() > s.most || h.bytes > s.mostBytes {
		h.remove(h.order.Back())
	}
}

// find returns a response that has ended.
func (s *responseStore) find(tenant, id string) (*storedResponse, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.shelves[tenant]
	if h == nil || h.byID[id] == nil {
		return nil, false
	}
	e := h.byID[id].Value.(*storedResponse)
	h.use(e)
	return e, true
}

// current returns a response that runs.
func (s *responseStore) current(tenant, id string) (*runningResponse, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	run := s.running[id]
	return run, run != nil && run.tenant == tenant
}

func (s *responseStore) delete(tenant, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.shelves[tenant]
	if h == nil || h.byID[id] == nil {
		return false
	}
	h.remove(h.byID[id])
	return true
}

// conversation is the items of a response and of all that it goes on from, from
// the beginning. If one of them is gone there is none.
func (s *responseStore) conversation(tenant, id string) ([]responses.Item, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.shelves[tenant]
	if h == nil {
		return nil, false
	}
	var chain []*storedResponse
	for id != "" {
		at := h.byID[id]
		if at == nil {
			return nil, false
		}
		e := at.Value.(*storedResponse)
		chain, id = append(chain, e), e.previous
	}
	h.use(chain[0])
	var items []responses.Item
	for i := len(chain) - 1; i >= 0; i-- {
		items = append(append(items, chain[i].input...), chain[i].response.Output...)
	}
	return items, true
}

// item finds one by its id.
func (s *responseStore) item(tenant, id string) (found responses.Item, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.shelves[tenant]
	if h == nil || h.items[id] == nil {
		return found, false
	}
	e := h.items[id]
	h.use(e)
	e.eachItem(func(it *responses.Item) {
		if it.ID == id && !ok {
			found, ok = *it, true
		}
	})
	return found, ok
}

// use brings a response to the front, and what it goes on from before it.
func (h *shelf) use(e *storedResponse) {
	for at := h.byID[e.response.ID]; at != nil; at = h.byID[at.Value.(*storedResponse).previous] {
		h.order.MoveToFront(at)
	}
}

func (h *shelf) remove(at *list.Element) {
	e := h.order.Remove(at).(*storedResponse)
	delete(h.byID, e.response.ID)
	h.bytes -= e.bytes
	e.eachItem(func(it *responses.Item) {
		if h.items[it.ID] == e {
			delete(h.items, it.ID)
		}
	})
}

func (e *storedResponse) eachItem(fn func(*responses.Item)) {
	for i := range e.input {
		fn(&e.input[i])
	}
	for i := range e.response.Output {
		fn(&e.response.Output[i])
	}
}
