package e2e_test

import (
	"encoding/json"
	"testing"

	openaigo "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

func TestResponsesByOpenAIsPythonClient(t *testing.T) {
	p := start(t, "--dtype", "float32")
	python(t, nil, "responses.py", p.base)
}

// The Go client asks for a tool's call, streams it, and goes on from it with the
// result.
func TestResponsesByOpenAIsGoClient(t *testing.T) {
	p := start(t, "--dtype", "float32")
	client := openaigo.NewClient(option.WithBaseURL(p.base+"/v1"), option.WithAPIKey("none"), option.WithMaxRetries(0))
	ask := responses.ResponseNewParams{
		Model: "default", Temperature: openaigo.Float(0),
		Input: responses.ResponseNewParamsInputUnion{OfString: openaigo.String("Tell me the weather in Paris")},
		Tools: []responses.ToolUnionParam{responses.ToolParamOfFunction("get_weather", map[string]any{
			"type": "object", "properties": map[string]any{"city": map[string]string{"type": "string"}},
			"required": []string{"city"}, "additionalProperties": false,
		}, true)},
	}
	whole, err := client.Responses.New(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	stream := client.Responses.NewStreaming(t.Context(), ask)
	var last responses.Response
	thought, arguments := "", ""
	for n := int64(0); stream.Next(); n++ {
		e := stream.Current()
		if e.SequenceNumber != n {
			t.Errorf("event %d has the number %d", n, e.SequenceNumber)
		}
		switch e := e.AsAny().(type) {
		case responses.ResponseReasoningTextDeltaEvent:
			thought += e.Delta
		case responses.ResponseFunctionCallArgumentsDeltaEvent:
			arguments += e.Delta
		case responses.ResponseCompletedEvent:
			last = e.Response
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	called := functionCall(t, whole)
	if streamed := functionCall(t, &last); streamed.Arguments != called.Arguments || arguments != called.Arguments || thought == "" || last.Output[0].Content[0].Text != thought {
		t.Errorf("streamed %q of %s, whole %s", arguments, last.RawJSON(), whole.RawJSON())
	}
	var city struct{ City string }
	if err := json.Unmarshal([]byte(called.Arguments), &city); err != nil || city.City != "Paris" {
		t.Errorf("the tool is asked for %s", called.Arguments)
	}
	ask.PreviousResponseID = openaigo.String(whole.ID)
	result := responses.ResponseInputItemParamOfFunctionCallOutput("18 degrees and sunny")
	result.OfFunctionCallOutput.CallID = openaigo.String(called.CallID)
	ask.Input = responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{result}}
	answer, err := client.Responses.New(t.Context(), ask)
	if err != nil || answer.OutputText() == "" || answer.Status != responses.ResponseStatusCompleted {
		t.Fatalf("the answer is %+v, %v", answer, err)
	}
	kept, err := client.Responses.Get(t.Context(), answer.ID, responses.ResponseGetParams{})
	if err != nil || kept.RawJSON() != answer.RawJSON() {
		t.Errorf("the store has %v, %v", kept, err)
	}
	if err := client.Responses.Delete(t.Context(), answer.ID); err != nil {
		t.Error(err)
	}
}

func functionCall(t *testing.T, r *responses.Response) responses.ResponseFunctionToolCall {
	t.Helper()
	for _, item := range r.Output {
		if call, ok := item.AsAny().(responses.ResponseFunctionToolCall); ok {
			return call
		}
	}
	t.Fatalf("nothing is called in %s", r.RawJSON())
	return responses.ResponseFunctionToolCall{}
}
