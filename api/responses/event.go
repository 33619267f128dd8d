package responses

import "github.com/reasond/reasond/api/openai"

// Event is one event of a stream. Of its members those of its type are set.
//
//	response.created, .in_progress, .completed,
//	    .incomplete (also when cancelled), .failed        response
//	response.output_item.added, .done                     output_index, item
//	response.content_part.added, .done                    output_index, item_id, content_index, part
//	response.reasoning_text.delta, .done                  output_index, item_id, content_index, delta or text
//	response.output_text.delta, .done                     the same, logprobs
//	response.function_call_arguments.delta, .done         output_index, item_id, delta or arguments
type Event struct {
	Type           string                 `json:"type"`
	SequenceNumber int                    `json:"sequence_number"` // 0, 1, 2, …
	Response       *Response              `json:"response,omitempty"`
	OutputIndex    *int                   `json:"output_index,omitempty"`
	ItemID         string                 `json:"item_id,omitempty"`
	ContentIndex   *int                   `json:"content_index,omitempty"`
	Item           *Item                  `json:"item,omitempty"`
	Part           *Part                  `json:"part,omitempty"`
	Delta          *string                `json:"delta,omitempty"`
	Text           *string                `json:"text,omitempty"`
	Name           string                 `json:"name,omitempty"`
	Arguments      *string                `json:"arguments,omitempty"`
	Logprobs       *[]openai.TokenLogprob `json:"logprobs,omitempty"`
}

// ErrorEvent is what a stream says before response.failed.
type ErrorEvent struct {
	Type           string  `json:"type"` // error
	SequenceNumber int     `json:"sequence_number"`
	Code           *string `json:"code"`
	Message        string  `json:"message"`
	Param          *string `json:"param"`
}
