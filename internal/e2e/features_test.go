package e2e_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	openaigo "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
)

// OpenAI's client asks for tools, structured outputs, budgets, logprobs and
// completions, whole and streamed.
func TestEveryFeatureByOpenAIsClient(t *testing.T) {
	p := start(t, "--dtype", "float32")
	python(t, nil, "features.py", p.base)
}

// goAnswer is a choice as the Go client has it.
type goAnswer struct {
	Thought, Content, Finish, Stop string
	Calls                          []parserCall
}

// goAsker asks a server by the Go client.
type goAsker struct {
	t      *testing.T
	client openaigo.Client
}

func newGoAsker(t *testing.T, base string) goAsker {
	return goAsker{t, openaigo.NewClient(option.WithBaseURL(base+"/v1"), option.WithAPIKey("none"), option.WithMaxRetries(0))}
}

const strawberry, paris = "How many times does the letter r appear in strawberry?", "Tell me the weather in Paris"

func asks(question string) openaigo.ChatCompletionNewParams {
	return openaigo.ChatCompletionNewParams{
		Model: "default", Temperature: openaigo.Float(0), N: openaigo.Int(1),
		Messages: []openaigo.ChatCompletionMessageParamUnion{openaigo.UserMessage(question)},
	}
}

// both asks whole and streamed; the answers must be one.
func (a goAsker) both(params openaigo.ChatCompletionNewParams, options ...option.RequestOption) []goAnswer {
	a.t.Helper()
	whole, err := a.client.Chat.Completions.New(a.t.Context(), params, options...)
	if err != nil {
		a.t.Fatal(err)
	}
	var one []goAnswer
	for _, c := range whole.Choices {
		one = append(one, a.answer(c, c.Message.JSON.ExtraFields["reasoning_content"].Raw(), c.JSON.ExtraFields["reasoning_stop"].Raw()))
	}
	if two := a.streamed(params, options...); !reflect.DeepEqual(one, two) {
		a.t.Errorf("whole  %q\nstream %q", one, two)
	}
	return one
}

// streamed puts the stream together by the client's accumulator, which knows of
// no thoughts.
func (a goAsker) streamed(params openaigo.ChatCompletionNewParams, options ...option.RequestOption) []goAnswer {
	a.t.Helper()
	stream := a.client.Chat.Completions.NewStreaming(a.t.Context(), params, options...)
	defer stream.Close()
	var acc openaigo.ChatCompletionAccumulator
	n := params.N.Value
	thoughts, stops := make([]strings.Builder, n), make([]string, n)
	for stream.Next() {
		chunk := stream.Current()
		if !acc.AddChunk(chunk) {
			a.t.Errorf("the client refuses %s", chunk.RawJSON())
		}
		for _, c := range chunk.Choices {
			thought, err := thoughtOf(c.Delta.JSON.ExtraFields)
			if err != nil {
				a.t.Error(err)
			}
			thoughts[c.Index].WriteString(thought)
			if stop := c.JSON.ExtraFields["reasoning_stop"].Raw(); stop != "" {
				stops[c.Index] = stop
			}
		}
	}
	if err := stream.Err(); err != nil {
		a.t.Fatal(err)
	}
	var answers []goAnswer
	for i, c := range acc.Choices {
		quoted, err := json.Marshal(thoughts[i].String())
		if err != nil {
			a.t.Fatal(err)
		}
		answers = append(answers, a.answer(c, string(quoted), stops[i]))
	}
	return answers
}

func (a goAsker) answer(c openaigo.ChatCompletionChoice, thought, stop string) goAnswer {
	a.t.Helper()
	got := goAnswer{Content: c.Message.Content, Finish: c.FinishReason}
	for raw, to := range map[string]*string{thought: &got.Thought, stop: &got.Stop} {
		if raw == "" || raw == "null" {
			continue
		}
		if err := json.Unmarshal([]byte(raw), to); err != nil {
			a.t.Errorf("%s: %v", raw, err)
		}
	}
	for _, call := range c.Message.ToolCalls {
		if call.ID == "" || call.Type != "function" {
			a.t.Errorf("a call without id or type: %s", call.RawJSON())
		}
		got.Calls = append(got.Calls, parserCall{call.Function.Name, call.Function.Arguments})
	}
	return got
}

// refused asks, whole and streamed, for what must be a 400 that names param.
func (a goAsker) refused(param string, params openaigo.ChatCompletionNewParams, options ...option.RequestOption) {
	a.t.Helper()
	_, whole := a.client.Chat.Completions.New(a.t.Context(), params, options...)
	stream := a.client.Chat.Completions.NewStreaming(a.t.Context(), params, options...)
	for stream.Next() {
	}
	for how, err := range map[string]error{"whole": whole, "streamed": stream.Err()} {
		var refusal *openaigo.Error
		if !errors.As(err, &refusal) || refusal.StatusCode != http.StatusBadRequest || refusal.Param != param || !strings.Contains(refusal.Message, param) {
			a.t.Errorf("%s, %s: %v", param, how, err)
		}
	}
}

var cityParameters = shared.FunctionParameters{
	"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}},
	"required": []string{"city"}, "additionalProperties": false,
}

// weather offers two tools.
func weather(question string) openaigo.ChatCompletionNewParams {
	params := asks(question)
	params.Tools = []openaigo.ChatCompletionToolUnionParam{
		openaigo.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "get_weather", Parameters: cityParameters, Strict: openaigo.Bool(true)}),
		openaigo.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "get_mood", Parameters: cityParameters}),
	}
	return params
}

func TestToolsByOpenAIsGoClient(t *testing.T) {
	a := newGoAsker(t, start(t, "--dtype", "float32").base)
	called := a.both(weather(paris))[0]
	if called.Thought == "" || called.Finish != "tool_calls" || len(called.Calls) != 1 || called.Calls[0].Arguments != `{"city": "Paris"}` {
		t.Errorf("auto: %q", called)
	}
	none := weather(paris)
	none.ToolChoice.OfAuto = openaigo.String("none")
	if got := a.both(none)[0]; got.Calls != nil || got.Finish == "tool_calls" {
		t.Errorf("none: %q", got)
	}
	free := a.both(weather(strawberry))[0]
	required := weather(strawberry)
	required.ParallelToolCalls = openaigo.Bool(false)
	required.ToolChoice.OfAuto = openaigo.String("required")
	named := weather(strawberry)
	named.ToolChoice = openaigo.ToolChoiceOptionFunctionToolChoice(openaigo.ChatCompletionNamedToolChoiceFunctionParam{Name: "get_mood"})
	for _, params := range []openaigo.ChatCompletionNewParams{required, named} {
		params.N = openaigo.Int(2)
		for _, got := range a.both(params) {
			if got.Finish != "tool_calls" || len(got.Calls) != 1 || !strings.HasPrefix(got.Calls[0].Arguments, `{"city": "`) || got.Thought != free.Thought {
				t.Errorf("required: %q", got)
			}
			if params.ParallelToolCalls.Value == false && !params.ParallelToolCalls.Valid() && got.Calls[0].Name != "get_mood" {
				t.Errorf("named: %q", got)
			}
		}
	}
	for _, mode := range []openaigo.ChatCompletionAllowedToolsMode{openaigo.ChatCompletionAllowedToolsModeAuto, openaigo.ChatCompletionAllowedToolsModeRequired} {
		some := weather(paris)
		some.ToolChoice = openaigo.ToolChoiceOptionAllowedTools(openaigo.ChatCompletionAllowedToolsParam{
			Mode: mode, Tools: []map[string]any{{"type": "function", "function": map[string]any{"name": "get_mood"}}},
		})
		got := a.both(some)[0]
		if slices.ContainsFunc(got.Calls, func(c parserCall) bool { return c.Name != "get_mood" }) || mode == openaigo.ChatCompletionAllowedToolsModeRequired && len(got.Calls) == 0 {
			t.Errorf("allowed, %s: %q", mode, got)
		}
	}
	// The second turn.
	first, err := a.client.Chat.Completions.New(t.Context(), weather(paris))
	if err != nil {
		t.Fatal(err)
	}
	told := weather(paris)
	told.Messages = append(told.Messages, first.Choices[0].Message.ToParam(), openaigo.ToolMessage("21 degrees", first.Choices[0].Message.ToolCalls[0].ID))
	if got := a.both(told)[0]; !strings.Contains(got.Content, "21 degrees") || got.Finish != "stop" {
		t.Errorf("the second turn: %q", got)
	}
	unknown := weather(paris)
	unknown.ToolChoice = openaigo.ToolChoiceOptionFunctionToolChoice(openaigo.ChatCompletionNamedToolChoiceFunctionParam{Name: "get_rich"})
	a.refused("tool_choice", unknown)
	a.refused("tool_choice", asks(paris), option.WithJSONSet("tool_choice", "required"))
}

func TestFormsByOpenAIsGoClient(t *testing.T) {
	a := newGoAsker(t, start(t, "--dtype", "float32").base)
	free := a.both(asks(strawberry))[0]
	if free.Stop != "natural" || free.Finish != "stop" {
		t.Errorf("free: %q", free)
	}
	schema := asks(strawberry)
	schema.N = openaigo.Int(3)
	schema.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
		Name: "count", Strict: openaigo.Bool(true), Schema: map[string]any{
			"type": "object", "properties": map[string]any{"count": map[string]any{"type": "integer", "maximum": 9}},
			"required": []string{"count"}, "additionalProperties": false,
		},
	}}
	for _, got := range a.both(schema) {
		var counted struct{ Count *int }
		if err := json.Unmarshal([]byte(got.Content), &counted); err != nil || counted.Count == nil || got.Thought != free.Thought {
			t.Errorf("by a schema: %q, %v", got, err)
		}
	}
	for pattern, option := range map[string]option.RequestOption{
		`\d{2} times`: option.WithJSONSet("regex", `[0-9]{2} times`),
		`one|three`:   option.WithJSONSet("structured_outputs", map[string]any{"choice": []string{"one", "three"}}),
		`a[12]`:       option.WithJSONSet("grammar", `root ::= "a" ("1" | "2")`),
	} {
		got := a.both(asks(strawberry), option)[0]
		if !regexp.MustCompile("^("+pattern+")$").MatchString(got.Content) || got.Thought != free.Thought {
			t.Errorf("%s: %q", pattern, got)
		}
	}
	budget := a.both(asks(strawberry), option.WithJSONSet("thinking_token_budget", 8), option.WithJSONSet("thinking_budget_grace", 0))[0]
	if budget.Stop != "budget" || budget.Content == "" || !strings.HasPrefix(free.Thought, budget.Thought) || budget.Thought == free.Thought {
		t.Errorf("budget: %q", budget)
	}
	short := asks(strawberry)
	short.MaxTokens = openaigo.Int(30)
	if got := a.both(short, option.WithJSONSet("reserve_answer_tokens", 15))[0]; got.Stop != "length" || got.Content == "" {
		t.Errorf("reserve: %q", got)
	}
	logprobs := asks(strawberry)
	logprobs.Logprobs, logprobs.TopLogprobs = openaigo.Bool(true), openaigo.Int(2)
	answer, err := a.client.Chat.Completions.New(t.Context(), logprobs)
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for _, token := range answer.Choices[0].Logprobs.Content {
		for _, b := range token.Bytes {
			text = append(text, byte(b))
		}
	}
	if string(text) != answer.Choices[0].Message.Content {
		t.Errorf("logprobs of %q, content %q", text, answer.Choices[0].Message.Content)
	}
	a.refused("thinking_token_budget", asks(strawberry), option.WithJSONSet("thinking_token_budget", "much"))
	a.refused("regex", asks(strawberry), option.WithJSONSet("regex", "("))
	a.refused("reserve_answer_tokens", short, option.WithJSONSet("reserve_answer_tokens", 30))
}

// The server's bounds hold where a request says nothing, its ceiling always.
func TestTheServersBoundsOfAThought(t *testing.T) {
	free := newGoAsker(t, start(t, "--dtype", "float32").base).both(asks(strawberry))[0]
	bounded := newGoAsker(t, start(t, "--dtype", "float32", "--thinking-token-budget", "6", "--max-thinking-tokens", "12", "--break-reasoning-loops").base)
	thought := func(budget any) string {
		t.Helper()
		got := bounded.both(asks(strawberry), option.WithJSONSet("thinking_token_budget", budget), option.WithJSONSet("thinking_budget_grace", 0))[0]
		if got.Stop != "budget" || got.Content == "" || !strings.HasPrefix(free.Thought, got.Thought) {
			t.Errorf("budget %v: %q", budget, got)
		}
		return got.Thought
	}
	usual, least, most, more := thought(nil), thought(3), thought(12), thought(1000)
	if len(least) >= len(usual) || len(usual) >= len(most) || more != most || thought(-1) != usual {
		t.Errorf("3 tokens: %q, as the server has it: %q, 12: %q, 1000: %q", least, usual, most, more)
	}
}

// A reasond in front of another steers nothing: what asks for it is refused, by
// its field, and tools work both ways.
func TestToolsAndRefusalsInFrontOfAnotherServer(t *testing.T) {
	back := start(t, "--dtype", "float32")
	for _, front := range fronts {
		mode, a := front.name, newGoAsker(t, startInFront(t, back, front.args).base)
		if got := a.both(weather(paris))[0]; len(got.Calls) != 1 || got.Calls[0].Arguments != `{"city": "Paris"}` || got.Finish != "tool_calls" || got.Thought == "" {
			t.Errorf("%s: %q", mode, got)
		}
		for field, value := range map[string]any{
			"thinking_token_budget": 5, "reserve_answer_tokens": 5, "break_reasoning_loops": true, "reasoning_control": true,
			"regex": "[0-9]", "guided_choice": []string{"a"}, "grammar": `root ::= "a"`, "reasoning_regex": "a",
			"response_format": map[string]any{"type": "json_object"}, "reasoning": map[string]any{"temperature": 1},
		} {
			a.refused(field, asks(strawberry), option.WithJSONSet(field, value))
		}
		a.refused("tool_choice", weather(paris), option.WithJSONSet("tool_choice", "required"))
	}
}
