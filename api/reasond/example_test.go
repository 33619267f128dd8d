package reasond_test

import (
	"context"
	"fmt"
	"log"

	"github.com/reasond/reasond/api/reasond"
)

// The small model that is built in answers a question.
func ExampleModel_Chat() {
	model, err := reasond.Open("", reasond.Options{Float32: true})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	answer, err := model.Chat(context.Background(),
		[]reasond.Message{{Role: "user", Content: "9.11 and 9.8, which is greater?"}},
		reasond.Params{Temperature: new(0.0)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n%q\n%s\n", answer.Reasoning, answer.Content, answer.FinishReason)
	// Output:
	// "\nAlign the two and compare digit by digit: 9.11 and 9.80\n9=9\n1<8\nSo 9.11 < 9.8.\n"
	// "\n\n9.8 is greater than 9.11."
	// stop
}

// The pieces of a stream are reasoning or content, as they come.
func ExampleModel_ChatStream() {
	model, err := reasond.Open("", reasond.Options{Float32: true})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	question := []reasond.Message{{Role: "user", Content: "9.11 and 9.8, which is greater?"}}
	for piece, err := range model.ChatStream(context.Background(), question, reasond.Params{Temperature: new(0.0), Thinking: new(false)}) {
		switch {
		case err != nil:
			log.Fatal(err)
		case piece.End != nil:
			fmt.Printf("\n%s after %d tokens\n", piece.End.FinishReason, piece.End.Usage.Completion)
		default:
			fmt.Print(piece.Content)
		}
	}
	// Output:
	// 9.8 is greater than 9.11.
	// stop after 13 tokens
}

// A prompt that is no chat goes to the model as it is.
func ExampleModel_Generate() {
	model, err := reasond.Open("", reasond.Options{Float32: true})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	answer, err := model.Generate(context.Background(),
		"<|im_start|>user\n9.11 and 9.8, which is greater?<|im_end|>\n<|im_start|>assistant\n",
		reasond.Params{Temperature: new(0.0)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", answer.Content)
	// Output:
	// "<think>\nAlign the two and compare digit by digit: 9.11 and 9.80\n9=9\n1<8\nSo 9.11 < 9.8.\n</think>\n\n9.8 is greater than 9.11."
}
