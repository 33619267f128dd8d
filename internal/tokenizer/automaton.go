package tokenizer

import "math"

const none = math.MaxInt32

// automaton is the trie of the stop strings with complete transitions. Bytes
// that no stop string holds share one column.
type automaton struct {
	class   [256]uint16
	classes int
	goTo    []int32  // node*classes + class
	depth   []int32  // bytes from the root
	text    []string // the bytes from the root
	stop    []int32  // the first stop string that ends here, or none
	least   []int32  // the first stop string that passes or ends below, or none
	link    []int32  // the longest proper suffix at which a stop string ends, or 0
}

func newAutomaton(stops []string) *automaton {
	a := &automaton{classes: 1}
	for _, s := range stops {
		for i := 0; i < len(s); i++ {
			if a.class[s[i]] == 0 {
				a.class[s[i]] = uint16(a.classes)
				a.classes++
			}
		}
	}
	a.node("")
	for i, s := range stops {
		a.insert(int32(i), s)
	}
	a.complete()
	return a
}

func (a *automaton) node(text string) int32 {
	a.goTo = append(a.goTo, make([]int32, a.classes)...)
	a.depth = append(a.depth, int32(len(text)))
	a.text = append(a.text, text)
	a.stop = append(a.stop, none)
	a.least = append(a.least, none)
	a.link = append(a.link, 0)
	return int32(len(a.depth) - 1)
}

func (a *automaton) insert(index int32, s string) {
	n := int32(0)
	for i := 0; i < len(s); i++ {
		at := int(n)*a.classes + int(a.class[s[i]])
		if a.goTo[at] == 0 {
			child := a.node(s[:i+1])
			a.goTo[at] = child
		}
		n = a.goTo[at]
		if i < len(s)-1 {
			a.least[n] = min(a.least[n], index)
		}
	}
	a.stop[n] = min(a.stop[n], index)
}

// complete fills, breadth first, the transitions that leave the trie.
func (a *automaton) complete() {
	fail := make([]int32, len(a.depth))
	var queue []int32
	for c := range a.classes {
		if n := a.goTo[c]; n != 0 {
			queue = append(queue, n)
		}
	}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		f := fail[n]
		if a.link[n] = a.link[f]; a.stop[f] != none {
			a.link[n] = f
		}
		for c := range a.classes {
			at, over := int(n)*a.classes+c, a.goTo[int(f)*a.classes+c]
			if child := a.goTo[at]; child != 0 {
				fail[child] = over
				queue = append(queue, child)
			} else {
				a.goTo[at] = over
			}
		}
	}
}

func (a *automaton) next(n int32, c byte) int32 {
	return a.goTo[int(n)*a.classes+int(a.class[c])]
}
