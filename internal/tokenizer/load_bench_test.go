package tokenizer

import (
	"testing"

	"github.com/reasond/reasond/internal/native"
)

// The parts of opening a tokenizer of 150,000 tokens.
func BenchmarkOpen(b *testing.B) {
	var golden lenmlGolden
	readJSON(b, "../../testdata/tokenizers/qwen3.json", &golden)
	data, _ := readReal(b, "qwen3", golden.SHA256)
	v, err := NewVocab(data)
	if err != nil {
		b.Fatal(err)
	}
	lib, err := native.NewTokenizer(data)
	if err != nil {
		b.Fatal(err)
	}
	defer lib.Close()
	b.Run("table", func(b *testing.B) {
		for b.Loop() {
			if _, err := NewVocab(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			if err := v.check(lib); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		for b.Loop() {
			lib, err := native.NewTokenizer(data)
			if err != nil {
				b.Fatal(err)
			}
			lib.Close()
		}
	})
}
