package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/reasond/reasond/internal/server"
)

// batch answers requests, several at once, and writes the answers in the order
// of the requests, each as soon as those before it are written.
type batch struct {
	answer   func(ctx context.Context, body []byte) server.Answer
	parallel int
	progress func(bytes int64) // how much of the input has been answered

	lines, failed int
}

// task is one line on its way.
type task struct {
	line []byte
	long bool
	size int64 // bytes of input, empty lines before it included
	done chan batchResult
}

// run ends with the input, or with the first error of reading or writing, or
// with ctx.
func (b *batch) run(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	todo := make(chan *task)
	order := make(chan *task, 4*b.parallel) // what may wait for one that is slow
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	var reading error
	workers.Go(func() {
		defer close(order)
		defer close(todo)
		reading = b.read(ctx, in, todo, order)
	})
	for range b.parallel {
		workers.Go(func() {
			for t := range todo {
				t.done <- b.result(ctx, t)
			}
		})
	}
	if err := b.write(ctx, out, order); err != nil {
		return err
	}
	return reading // set before order was closed
}

// read makes tasks of the lines.
func (b *batch) read(ctx context.Context, in io.Reader, todo, order chan<- *task) error {
	lines := bufio.NewReaderSize(in, 1<<16)
	var skipped int64
	for {
		line, size, long, err := readLine(lines)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(line) == 0 && !long:
			skipped += size
			continue
		}
		t := &task{line: line, long: long, size: skipped + size, done: make(chan batchResult, 1)}
		skipped = 0
		for _, c := range []chan<- *task{order, todo} {
			select {
			case c <- t:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

func (b *batch) write(ctx context.Context, out io.Writer, order <-chan *task) error {
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	var answered int64
	for t := range order {
		var r batchResult
		select {
		case r = <-t.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if ctx.Err() != nil {
			return ctx.Err() // the answer may be one that was cut
		}
		if b.lines++; !r.good() {
			b.failed++
		}
		if err := lines.Encode(r); err != nil {
			return err
		}
		answered += t.size
		b.progress(answered)
	}
	return nil
}

// batchRequest is a line of OpenAI's batch input file.
type batchRequest struct {
	CustomID *string         `json:"custom_id"`
	Method   string          `json:"method"`
	URL      string          `json:"url"`
	Body     json.RawMessage `json:"body"`
}

// batchResult is a line of OpenAI's batch output file: a response, or an error
// where the line was no request.
type batchResult struct {
	ID       string         `json:"id"`
	CustomID *string        `json:"custom_id"`
	Response *batchResponse `json:"response"`
	Error    *batchError    `json:"error"`
}

type batchResponse struct {
	StatusCode int             `json:"status_code"`
	RequestID  string          `json:"request_id"`
	Body       json.RawMessage `json:"body"`
}

type batchError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (r *batchResult) good() bool {
	return r.Response != nil && r.Response.StatusCode == http.StatusOK
}

const batchURL = "/v1/chat/completions"

func (b *batch) result(ctx context.Context, t *task) batchResult {
	r := batchResult{ID: "batch_req_" + rand.Text()}
	req, err := readBatchRequest(t)
	r.CustomID = req.CustomID
	if err != nil {
		r.Error = &batchError{"invalid_request", err.Error()}
		return r
	}
	a := b.answer(ctx, req.Body)
	r.Response = &batchResponse{a.Status, a.ID, a.Body}
	return r
}

func readBatchRequest(t *task) (batchRequest, error) {
	var req batchRequest
	if t.long {
		return req, fmt.Errorf("the line is over %s", bytesText(largestLine))
	}
	d := json.NewDecoder(bytes.NewReader(t.line))
	d.DisallowUnknownFields()
	if err := d.Decode(&req); err != nil {
		return batchRequest{CustomID: req.CustomID}, errors.New("the line is not a JSON object with custom_id, method, url and body")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return req, errors.New("there is text behind the request")
	}
	switch {
	case req.CustomID == nil || *req.CustomID == "":
		return req, errors.New("custom_id is missing")
	case req.Method != http.MethodPost:
		return req, errors.New(`method must be "POST"`)
	case req.URL != batchURL:
		return req, errors.New(`url must be "` + batchURL + `"`)
	case len(req.Body) == 0 || req.Body[0] != '{':
		return req, errors.New("body must be an object")
	}
	return req, nil
}
