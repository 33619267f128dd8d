package reasoning_test

import (
	"fmt"

	"github.com/reasond/reasond/api/reasoning"
	_ "github.com/reasond/reasond/api/reasoning/builtin"
)

func ExampleParse() {
	thought, answer, err := reasoning.Parse("deepseek-r1", "<think>\n9.80 is more than 9.11.\n</think>\n\n9.8 is greater.")
	fmt.Printf("%q\n%q\n%v\n", thought, answer, err)
	// Output:
	// "\n9.80 is more than 9.11.\n"
	// "\n\n9.8 is greater."
	// <nil>
}

// A stream is fed as it comes. What is not yet known to be text, here the
// beginning of a tag, comes with a later Feed.
func ExampleParser() {
	d, err := reasoning.Lookup("qwen3")
	if err != nil {
		panic(err)
	}
	p := d.New(reasoning.Start{Open: reasoning.OpenYes})
	var segments []reasoning.Segment
	for _, text := range []string{"Two and two", ".</thi", "nk>Fo", "ur."} {
		segments = p.Feed(segments[:0], text)
		for _, s := range segments {
			fmt.Printf("%s [%d, %d) %q\n", s.Kind, s.Start, s.End, s.Text)
		}
	}
	fmt.Println(len(p.Close(nil)), "held back at the end")
	// Output:
	// reasoning [0, 11) "Two and two"
	// reasoning [11, 12) "."
	// content [20, 22) "Fo"
	// content [22, 25) "ur."
	// 0 held back at the end
}
