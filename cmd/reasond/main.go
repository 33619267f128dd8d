// Command reasond serves reasoning models behind the OpenAI API.
package main

import (
	"os"

	"github.com/reasond/reasond/api/reasond"
)

func main() { os.Exit(reasond.Main(os.Args[1:])) }
