// Command custom-parser is reasond with one more reasoning parser.
//
//	go mod tidy && go build -o my-reasond . && ./my-reasond serve MODEL --reasoning-parser aside
package main

import (
	"os"

	"example.com/custom-parser/aside"
	"github.com/reasond/reasond/api/reasond"
	"github.com/reasond/reasond/api/reasoning"
)

func main() {
	reasoning.Register(aside.Descriptor)
	os.Exit(reasond.Main(os.Args[1:]))
}
