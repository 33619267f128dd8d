package tokenizer

import (
	"encoding/json"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
)

// An index finds what a map would, the last of equal tokens included.
func TestAnIndexIsAMap(t *testing.T) {
	x, want := newIndex(), map[string]int32{}
	var names []string
	name := func(id int32) string { return names[id] }
	random := rand.New(rand.NewPCG(1, 2))
	for id := range int32(5000) {
		token := strconv.Itoa(random.IntN(4000))
		names = append(names, token)
		slot := x.slot(token, name)
		if old, ok := want[token]; ok != (x.id(slot) >= 0) || ok && x.id(slot) != old {
			t.Fatalf("%q is %d, want %d, %v", token, x.id(slot), old, ok)
		}
		x.put(slot, id, name)
		want[token] = id
	}
	for i := range 6000 {
		token := strconv.Itoa(i)
		id, ok := want[token]
		if got := x.id(x.slot(token, name)); ok && got != id || !ok && got != -1 {
			t.Errorf("%q is %d, want %d, %v", token, got, id, ok)
		}
	}
}

// A vocabulary that is loaded is held in little more than its strings.
func TestAVocabularyIsCompact(t *testing.T) {
	const tokens = 50_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	v, err := newVocab(json.RawMessage(`{"type":"ByteLevel"}`), nil, func(set func(string, int32) error) error {
		for id := range int32(tokens) {
			if err := set("token "+strconv.Itoa(int(id)), id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	// Twice 11 bytes of text, twice where it ends, up to 3 slots of the index.
	if each := float64(after.HeapAlloc-before.HeapAlloc) / tokens; each > 48 {
		t.Errorf("a token takes %.0f bytes", each)
	}
	runtime.KeepAlive(v)
}
