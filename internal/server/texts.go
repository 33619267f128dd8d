package server

import (
	"context"
	"net/http"

	"github.com/reasond/reasond/api/native"
	"github.com/reasond/reasond/api/openai"
	"github.com/reasond/reasond/api/reasoning"
	"github.com/reasond/reasond/internal/pipeline"
)

// The endpoints of this file run no engine: what the text side of a model does
// to a text.

// inside runs an endpoint within the gate and answers its error.
func (s *Server) inside(endpoint func(context.Context, http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, leave, err := s.gate.enter(r.Context())
		if err == nil {
			defer leave()
			err = endpoint(ctx, w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

// decoded reads a body and decodes it.
func decoded[T any](s *Server, w http.ResponseWriter, r *http.Request, decode func([]byte) (*T, error)) (*T, error) {
	defer s.forgetBody(exchangeOf(r.Context()))
	body, err := s.readBody(w, r)
	if err != nil {
		return nil, err
	}
	return decode(body)
}

// asked reads a body and waits for a turn at the model that it names, for
// endpoints that make native calls without generating; done must be called.
func asked[T any](ctx context.Context, s *Server, w http.ResponseWriter, r *http.Request, decode func([]byte) (*T, error), model func(*T) string) (req *T, m *pipeline.Model, done func(), err error) {
	if req, err = decoded(s, w, r, decode); err != nil {
		return nil, nil, nil, err
	}
	if m, err = s.model(model(req)); err != nil {
		return nil, nil, nil, err
	}
	done, err = s.turn(ctx)
	return req, m, done, err
}

func chatModel(r *openai.ChatRequest) string { return r.Model }

// separateReasoning is POST /separate_reasoning.
func (s *Server) separateReasoning(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	req, err := decoded(s, w, r, native.DecodeSeparate)
	if err != nil {
		return err
	}
	parser, err := s.parser(req)
	if err != nil {
		return err
	}
	start := reasoning.Start{}
	if req.InReasoning != nil {
		start.Open = reasoning.OpenNo
		if *req.InReasoning {
			start.Open = reasoning.OpenYes
		}
	}
	done, err := s.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	var answer native.SeparateResponse
	answer.ReasoningText, answer.Text = parser.Split(start, req.Text)
	writeJSON(w, answer)
	return nil
}

// parseFunctionCall is POST /parse_function_call.
func (s *Server) parseFunctionCall(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	req, m, done, err := asked(ctx, s, w, r, native.DecodeFunctionCall, func(r *native.FunctionCallRequest) string { return r.Model })
	if err != nil {
		return err
	}
	defer done()
	text, calls, err := m.ParseCalls(req.Parser, req.Tools, req.Text)
	if err != nil {
		return err
	}
	answer := native.FunctionCallResponse{NormalText: text, Calls: []native.FunctionCall{}}
	for _, c := range calls {
		answer.Calls = append(answer.Calls, native.FunctionCall{ToolIndex: c.Tool, Name: c.Name, Parameters: c.Arguments})
	}
	writeJSON(w, answer)
	return nil
}

// parser is the parser that the request names, or else the model's.
func (s *Server) parser(req *native.SeparateRequest) (*reasoning.Descriptor, error) {
	m, err := s.model(req.Model)
	if err != nil {
		return nil, err
	}
	if req.Parser == "" {
		if m.Parser == nil {
			return nil, openai.Missing("reasoning_parser", "the model has no parser of its own, so one must be named")
		}
		return m.Parser, nil
	}
	d, err := reasoning.Lookup(req.Parser)
	if err != nil {
		return nil, openai.Invalid("reasoning_parser", "there is no such parser here")
	}
	return &d, nil
}

// tokenize is POST /tokenize.
func (s *Server) tokenize(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	req, m, done, err := asked(ctx, s, w, r, native.DecodeTokenize, func(r *native.TokenizeRequest) string { return r.Model })
	if err != nil {
		return err
	}
	defer done()
	list := native.TokenizeListResponse{Count: []int{}, MaxModelLen: m.MaxContext, Tokens: [][]int32{}}
	add := func(ids []int32, err error) error {
		list.Count, list.Tokens = append(list.Count, len(ids)), append(list.Tokens, ids)
		if req.TokenStrings {
			list.TokenStrs = append(list.TokenStrs, m.TokenNames(ids))
		}
		return err
	}
	if req.Chat != nil {
		err = add(m.ChatTokens(chatRequest(m, req.Chat, "")))
	}
	for _, prompt := range req.Prompts {
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err == nil {
			err = add(m.Tokens(prompt, req.AddSpecial))
		}
	}
	if err != nil {
		return err
	}
	writeJSON(w, tokenized(req.Many, &list))
	return nil
}

// tokenized is the answer for a list, or for the one text that was asked about.
func tokenized(many bool, list *native.TokenizeListResponse) any {
	if many {
		return list
	}
	one := native.TokenizeResponse{Count: list.Count[0], MaxModelLen: list.MaxModelLen, Tokens: list.Tokens[0]}
	if one.Tokens == nil {
		one.Tokens = []int32{}
	}
	if list.TokenStrs != nil {
		one.TokenStrs = list.TokenStrs[0]
	}
	return one
}

// detokenize is POST /detokenize.
func (s *Server) detokenize(_ context.Context, w http.ResponseWriter, r *http.Request) error {
	req, err := decoded(s, w, r, native.DecodeDetokenize)
	if err != nil {
		return err
	}
	m, err := s.model(req.Model)
	if err != nil {
		return err
	}
	list := native.DetokenizeListResponse{Prompt: []string{}, Text: []string{}}
	for _, ids := range req.Tokens {
		whole, err := m.Text(ids, false)
		if err != nil {
			return nativeError(err, "tokens")
		}
		text, err := m.Text(ids, req.SkipSpecial)
		if err != nil {
			return nativeError(err, "tokens")
		}
		list.Prompt, list.Text = append(list.Prompt, whole), append(list.Text, text)
	}
	if req.Many {
		writeJSON(w, list)
	} else {
		writeJSON(w, native.DetokenizeResponse{Prompt: list.Prompt[0], Text: list.Text[0]})
	}
	return nil
}

// applyTemplate is POST /apply-template: the prompt that a chat request would
// begin with.
func (s *Server) applyTemplate(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	wire, m, done, err := asked(ctx, s, w, r, openai.DecodeChat, chatModel)
	if err != nil {
		return err
	}
	defer done()
	prompt, err := m.Render(chatRequest(m, wire, ""))
	if err != nil {
		return err
	}
	writeJSON(w, native.ApplyTemplateResponse{Prompt: prompt})
	return nil
}
