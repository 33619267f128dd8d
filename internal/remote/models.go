package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/reasond/reasond/internal/llm"
)

// ModelInfo is one model of the upstream's list.
type ModelInfo struct {
	ID         string
	MaxContext int // tokens; 0: the upstream does not say
}

// Models is the upstream's list of models.
func (e *Engine) Models(ctx context.Context) ([]ModelInfo, error) {
	var list struct {
		Data []struct {
			ID          string `json:"id"`
			MaxModelLen int    `json:"max_model_len"` // vLLM, SGLang, LightLLM
			Meta        struct {
				Context int `json:"n_ctx"` // llama-server
			} `json:"meta"`
		} `json:"data"`
	}
	if err := e.get(ctx, "/v1/models", &list); err != nil {
		return nil, err
	}
	var out []ModelInfo
	for _, m := range list.Data {
		out = append(out, ModelInfo{ID: m.ID, MaxContext: max(cmp.Or(m.MaxModelLen, m.Meta.Context), 0)})
	}
	return out, nil
}

// Probe asks the upstream for what Config left open, the model's name and its
// context. It fails if the upstream cannot be reached or has no such model.
func (e *Engine) Probe(ctx context.Context) error {
	models, err := e.Models(ctx)
	if err != nil {
		return err
	}
	if len(models) == 0 {
		return errors.New("the upstream serves no model")
	}
	name := cmp.Or(e.cfg.Model, models[0].ID)
	at := slices.IndexFunc(models, func(m ModelInfo) bool { return m.ID == name })
	if at < 0 {
		names := make([]string, len(models))
		for i, m := range models {
			names[i] = m.ID
		}
		return fmt.Errorf("the upstream has no model %q; it has %s", name, strings.Join(names, ", "))
	}
	e.model.Store(&name)
	if e.cfg.MaxContext > 0 {
		return nil
	}
	size := models[at].MaxContext
	if size == 0 && e.kind.props {
		size = e.contextOfProps(ctx)
	}
	e.maxContext.Store(int64(size))
	return nil
}

// ProbeParsing asks a question of a few tokens to learn whether the upstream's
// own parser splits reasoning off, where the kind leaves it open. It reports
// true once reasoning has come in a field of its own; false is no proof, for
// the model may not have thought.
func (e *Engine) ProbeParsing(ctx context.Context) (splits bool, err error) {
	if e.cfg.Mode == Chat && cmp.Or(e.cfg.Parsing, e.kind.parsing) == ParsingAuto {
		sampling := llm.UnsetSampling()
		sampling.MaxTokens = probeTokens
		s, err := e.Submit(ctx, &llm.Request{N: 1, Sampling: sampling, Prompt: llm.Prompt{Chat: &llm.Chat{
			Messages: json.RawMessage(`[{"role":"user","content":"What is 2+3?"}]`), AddGenerationPrompt: true,
		}}})
		if err != nil {
			return false, err
		}
		defer s.Close()
		for {
			deltas, err := s.Recv(ctx)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return false, err
			}
			for _, d := range deltas {
				if d.Finish != nil && d.Finish.Err != nil {
					return false, d.Finish.Err
				}
			}
		}
	}
	return e.contentChannel() == llm.ChannelContent, nil
}

// probeTokens are enough for any parser to have said where the text belongs.
const probeTokens = 16

// contextOfProps is llama-server's context of one slot; 0 if it does not say.
func (e *Engine) contextOfProps(ctx context.Context) int {
	var props struct {
		Settings struct {
			Context int `json:"n_ctx"`
		} `json:"default_generation_settings"`
	}
	if e.get(ctx, "/props", &props) != nil {
		return 0
	}
	return max(props.Settings.Context, 0)
}

// Health asks the upstream's own health endpoint; nil: it can work.
func (e *Engine) Health(ctx context.Context) error { return e.get(ctx, e.kind.health, nil) }

// Watch asks for the upstream's health every interval until Close, so that
// Stats can say whether it can be reached. While requests run it does not ask:
// they show it, and some servers break a stream off for any other request.
func (e *Engine) Watch(interval time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		cancel()
		return
	}
	e.unwatch = cancel
	e.wg.Add(1)
	go func() {
		defer e.wg.Done()
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if now := e.Stats(); now.Running+now.Waiting > 0 {
				continue
			}
			limit, done := context.WithTimeout(ctx, 5*time.Second)
			err := e.Health(limit)
			done()
			e.stats.update(func(s *llm.Stats) { s.Unreachable = err != nil })
		}
	}()
}

// get decodes a JSON answer into v, unless v is nil.
func (e *Engine) get(ctx context.Context, path string, v any) error {
	resp, err := e.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return unreachable(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return unreachable(err)
	}
	if resp.StatusCode != http.StatusOK {
		return e.refusal(resp.StatusCode, resp.Header, raw)
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return &llm.Error{Kind: llm.Internal, Message: "the upstream's answer to " + path + " is not the JSON expected", Err: err}
	}
	return nil
}
