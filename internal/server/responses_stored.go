package server

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/reasond/reasond/api/responses"
	"github.com/reasond/reasond/internal/llm"
)

var errNoResponse = &llm.Error{Kind: llm.NotFound, Code: "response_not_found", Message: "there is no response with this id, or it is gone"}

// getResponse is GET /v1/responses/{id}. One that runs has no output yet.
func (s *Server) getResponse(w http.ResponseWriter, r *http.Request) {
	tenant, id := exchangeOf(r.Context()).tenant, chi.URLParam(r, "id")
	if r.URL.Query().Get("stream") == "true" {
		s.fail(w, r, llm.Errorf(llm.Unsupported, "stream", "stream: a response that is there cannot be streamed by this server"))
		return
	}
	if run, ok := s.responses.current(tenant, id); ok && run.start != nil {
		writeJSON(w, run.start)
	} else if e, ok := s.responses.find(tenant, id); ok {
		writeJSON(w, e.response)
	} else {
		s.fail(w, r, errNoResponse)
	}
}

// deleteResponse is DELETE /v1/responses/{id}. What goes on from it cannot be
// gone on from any more.
func (s *Server) deleteResponse(w http.ResponseWriter, r *http.Request) {
	tenant, id := exchangeOf(r.Context()).tenant, chi.URLParam(r, "id")
	if !s.responses.delete(tenant, id) {
		s.fail(w, r, errNoResponse)
		return
	}
	writeJSON(w, responses.Deleted{ID: id, Object: "response", Deleted: true})
}

// cancelResponse is POST /v1/responses/{id}/cancel. It answers with what the
// response has become.
func (s *Server) cancelResponse(w http.ResponseWriter, r *http.Request) {
	tenant, id := exchangeOf(r.Context()).tenant, chi.URLParam(r, "id")
	if run, ok := s.responses.current(tenant, id); ok {
		run.cancel(errResponseCancelled)
		select {
		case <-run.done:
			writeJSON(w, run.end)
		case <-r.Context().Done():
			s.fail(w, r, r.Context().Err())
		}
		return
	}
	e, ok := s.responses.find(tenant, id)
	switch {
	case !ok:
		s.fail(w, r, errNoResponse)
	case e.response.Status != responses.Cancelled:
		s.fail(w, r, llm.Errorf(llm.Invalid, "", "a response that is %s cannot be cancelled", e.response.Status))
	default:
		writeJSON(w, e.response)
	}
}

// Bounds of a page of items, OpenAI's.
const (
	usualItems = 20
	mostItems  = 100
)

// inputItems is GET /v1/responses/{id}/input_items?order&after&limit: a page of
// what the response was given, the last item first unless order is asc.
func (s *Server) inputItems(w http.ResponseWriter, r *http.Request) {
	e, ok := s.responses.find(exchangeOf(r.Context()).tenant, chi.URLParam(r, "id"))
	if !ok {
		s.fail(w, r, errNoResponse)
		return
	}
	items := slices.Clone(e.input)
	query := r.URL.Query()
	switch query.Get("order") {
	case "", "desc":
		slices.Reverse(items)
	case "asc":
	default:
		s.fail(w, r, llm.Errorf(llm.Invalid, "order", "order: must be one of asc, desc"))
		return
	}
	limit := usualItems
	if given := query.Get("limit"); given != "" {
		var err error
		if limit, err = strconv.Atoi(given); err != nil || limit < 1 || limit > mostItems {
			s.fail(w, r, llm.Errorf(llm.Invalid, "limit", "limit: must be between 1 and %d", mostItems))
			return
		}
	}
	if after := query.Get("after"); after != "" {
		at := slices.IndexFunc(items, func(i responses.Item) bool { return i.ID == after })
		if at < 0 {
			s.fail(w, r, llm.Errorf(llm.Invalid, "after", "after: the input has no such item"))
			return
		}
		items = items[at+1:]
	}
	page := responses.ItemList{Object: "list", Data: items[:min(limit, len(items))], HasMore: len(items) > limit}
	if n := len(page.Data); n > 0 {
		page.FirstID, page.LastID = &page.Data[0].ID, &page.Data[n-1].ID
	}
	writeJSON(w, page)
}
