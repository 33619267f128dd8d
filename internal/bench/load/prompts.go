package load

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
)

// Prompts are what is asked, in turn. They are either made of words, or a list.
type Prompts struct {
	Words []int  // words of a made prompt, a length after the other
	Nonce string // begins each made prompt, with the request's number: no prefix but the template's is shared; empty: prompts repeat
	List  []Prompt
}

// Prompt is one question: a text, or a chat's messages as they go on the wire.
type Prompt struct {
	Text     string
	Messages json.RawMessage
}

// words are short, common and mostly one token of any vocabulary.
var words = strings.Fields(`air area back body book business car case change child city community company country
day door education end eye fact family father force friend game girl government group guy hand head health history home
hour house idea information issue job kid kind law level life line lot man member minute moment money month morning
mother name night number office others parent part party people person place point power president problem program
question reason research result right room school service side state story student study system teacher team thing time
war water way week woman word work world year`)

// distinct is how many made prompts there are before they repeat, each length for
// itself.
const distinct = 64

// At is the prompt of request i.
func (p *Prompts) At(i int) Prompt {
	if len(p.List) > 0 {
		return p.List[i%len(p.List)]
	}
	n := p.Words[i%len(p.Words)]
	return Prompt{Text: p.made(i, n)}
}

func (p *Prompts) made(i, n int) string {
	r := rand.New(rand.NewPCG(uint64(n), uint64(i%distinct)))
	var b strings.Builder
	if p.Nonce != "" {
		fmt.Fprintf(&b, "[%s%d] ", p.Nonce, i)
	}
	b.WriteString("Write a long story that uses these words:")
	for range n {
		b.WriteString(" " + words[r.IntN(len(words))])
	}
	return b.String() + "."
}

// ReadPrompts reads a JSON value a line: a string, or an object with "prompt" or
// "messages". An error names the line.
func ReadPrompts(from io.Reader) (*Prompts, error) {
	p := &Prompts{}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		one, err := readPrompt(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		p.List = append(p.List, one)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(p.List) == 0 {
		return nil, errors.New("there is no prompt")
	}
	return p, nil
}

func readPrompt(line []byte) (Prompt, error) {
	var text string
	if json.Unmarshal(line, &text) == nil {
		return Prompt{Text: text}, nil
	}
	var object struct {
		Prompt   *string           `json:"prompt"`
		Messages []json.RawMessage `json:"messages"`
	}
	if err := json.Unmarshal(line, &object); err != nil {
		return Prompt{}, err
	}
	switch {
	case (object.Prompt == nil) == (len(object.Messages) == 0):
		return Prompt{}, errors.New(`neither a string nor an object with either "prompt" or "messages"`)
	case object.Prompt != nil:
		return Prompt{Text: *object.Prompt}, nil
	}
	messages, err := json.Marshal(object.Messages)
	return Prompt{Messages: messages}, err
}
