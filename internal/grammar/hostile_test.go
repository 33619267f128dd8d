package grammar

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hostile are specs made to take time, memory or stack.
func hostile() map[string]Spec {
	nested := func(open, middle, end string, n int) string {
		return strings.Repeat(open, n) + middle + strings.Repeat(end, n)
	}
	list := func(n int, f func(i int) string) string {
		var all []string
		for i := range n {
			all = append(all, f(i))
		}
		return strings.Join(all, ",")
	}
	refs := func(n int) string { // each definition is two of the next one
		return `{"$ref":"#/$defs/d0","$defs":{` + list(n, func(i int) string {
			if i == n-1 {
				return fmt.Sprintf(`"d%d":{"type":"integer"}`, i)
			}
			return fmt.Sprintf(`"d%d":{"type":"array","prefixItems":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}],"minItems":2,"items":false}`, i, i+1, i+1)
		}) + `}}`
	}
	allOf := func(n int) string { // 2^n combinations
		return `{"allOf":[` + list(n, func(i int) string {
			return fmt.Sprintf(`{"anyOf":[{"properties":{"a%d":{"type":"integer"}}},{"properties":{"b%d":{"type":"string"}}}]}`, i, i)
		}) + `]}`
	}
	gbnf := func(n int) string {
		var b strings.Builder
		b.WriteString("root ::= r0\n")
		for i := range n {
			fmt.Fprintf(&b, "r%d ::= r%d r%d | \"a\"\n", i, i+1, i+1)
		}
		fmt.Fprintf(&b, "r%d ::= \"a\"\n", n)
		return b.String()
	}
	schemas := map[string]string{
		"deep arrays":            nested(`{"type":"array","items":`, "{}", "}", 20000),
		"deep objects":           nested(`{"type":"object","properties":{"a":`, "{}", "}}", 20000),
		"deep anyOf":             nested(`{"anyOf":[`, "{}", "]}", 20000),
		"deep allOf":             nested(`{"allOf":[`, "{}", "]}", 20000),
		"deep const":             `{"const":` + nested("[", "1", "]", 100000) + `}`,
		"deep braces":            strings.Repeat(`{"a":`, 200000),
		"a self":                 `{"$ref":"#"}`,
		"selves":                 `{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}`,
		"a self in anyOf":        `{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}`,
		"a self in allOf":        `{"allOf":[{"$ref":"#"},{"type":"object"}]}`,
		"required selves":        `{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}`,
		"doubling refs":          refs(60),
		"combinations":           allOf(24),
		"many properties":        `{"type":"object","properties":{` + list(20000, func(i int) string { return fmt.Sprintf(`"p%d":{"type":"integer"}`, i) }) + `}}`,
		"many required":          `{"type":"object","properties":{` + list(5000, func(i int) string { return fmt.Sprintf(`"p%d":{}`, i) }) + `},"required":[` + list(5000, func(i int) string { return fmt.Sprintf(`"p%d"`, i) }) + `]}`,
		"a large enum":           `{"enum":[` + list(60000, func(i int) string { return fmt.Sprintf(`"value %d"`, i*7919) }) + `]}`,
		"many items":             `{"type":"array","minItems":1000000,"items":{"type":"integer"}}`,
		"at most many":           `{"type":"array","maxItems":2000000000}`,
		"a long string":          `{"type":"string","minLength":100000000}`,
		"a bounded string":       `{"type":"string","minLength":1,"maxLength":1000000}`,
		"a hungry pattern":       `{"type":"string","pattern":"^(a|b)*a(a|b){20}$"}`,
		"pattern and length":     `{"type":"string","pattern":"^([a-z]+ )*$","minLength":5000,"maxLength":50000}`,
		"many patternProperties": `{"type":"object","patternProperties":{` + list(60, func(i int) string { return fmt.Sprintf(`"^x%d[a-z]*(a|b)*a(a|b){9}$":{"type":"integer"}`, i) }) + `}}`,
		"a narrow multiple":      `{"type":"number","multipleOf":0.0000001,"minimum":0.1,"maximum":99999999}`,
		"a wide range":           `{"type":"number","minimum":-1.7e308,"maximum":1.7e308}`,
		"many anyOf": `{"anyOf":[` + list(3000, func(i int) string {
			return fmt.Sprintf(`{"type":"object","properties":{"k":{"const":%d},"v":{"type":"string"}},"required":["k"]}`, i)
		}) + `]}`,
		"oneOf of all":     `{"oneOf":[` + list(200, func(i int) string { return fmt.Sprintf(`{"type":"object","properties":{"p%d":{"type":"integer"}}}`, i) }) + `]}`,
		"a million spaces": "{" + strings.Repeat(" ", 1<<20) + "}",
	}
	regexes := map[string]string{
		"catastrophe":          `(a+)+b`,
		"catastrophes":         `((a*)*)*b`,
		"counts of counts":     `((a{1000}){1000}){1000}`,
		"a large count":        `a{1000000}`,
		"a range of counts":    `(a{0,1000}b{0,1000}){0,1000}`,
		"the far bit":          `(a|b)*a(a|b){25}`,
		"the far bits":         strings.Repeat(`((a|b)*a(a|b){12}|c)`, 20),
		"deep brackets":        nested("(", "a", ")", 100000),
		"deep stars":           nested("(", "a", ")*", 1000),
		"many alternatives":    strings.Repeat("abc[a-z]*x|", 20000) + "d",
		"all of Unicode":       strings.Repeat(`\p{L}+\p{N}*`, 300),
		"optional in optional": strings.Repeat("(a?", 500) + strings.Repeat(")", 500) + strings.Repeat("a", 500),
		"any, many times":      `(.{1,500}\n){1,500}`,
	}
	grammars := map[string]string{
		"a doubling grammar": gbnf(40),
		"the left":           "root ::= root \"a\" | \"a\"\n",
		"itself":             "root ::= root\n",
		"itself twice":       "root ::= root root | \"\"\n",
		"the empty, often":   "root ::= e* \"a\"\ne ::= \"\" | e e\n",
		"ambiguous":          "root ::= s\ns ::= s s | s s s | \"a\" | \"\"\n",
		"deep groups":        "root ::= " + nested("(", `"a"`, ")", 50000),
		"many rules":         "root ::= r0\n" + strings.Join(strings.Split(list(20000, func(i int) string { return fmt.Sprintf("r%d ::= \"a\" r%d?", i, (i+1)%20000) }), ","), "\n"),
		"large repetitions":  "root ::= ((\"a\" | \"b\"){1000}){1000}\n",
		"cycles of nothing":  "root ::= a\na ::= b | \"\"\nb ::= c | \"\"\nc ::= a a a\n",
	}
	all := map[string]Spec{
		"many choices":  {Choice, "[" + list(maxChoices, func(i int) string { return strconv.Quote(strings.Repeat("x", i%97) + strconv.Itoa(i)) }) + "]"},
		"far choices":   {Choice, "[" + list(maxChoices+1, func(i int) string { return strconv.Quote(strconv.Itoa(i)) }) + "]"},
		"intersections": {Lark, "start: A\nA: /(a|b)*a(a|b){25}/ & /(a|b)*b(a|b){25}/"},
		"complements":   {Lark, "start: A\nA: ~/(a|b)*a(a|b){25}/"},
		"many tags": {StructuralTag, `{"structures":[` + list(2000, func(i int) string {
			return fmt.Sprintf(`{"begin":"<f%d>","schema":{"type":"object"},"end":"</f%d>"}`, i, i)
		}) + `],"triggers":["<f"]}`},
	}
	for name, s := range schemas {
		all["schema: "+name] = Spec{Schema, s}
	}
	for name, s := range regexes {
		all["regex: "+name] = Spec{Regex, s}
	}
	for name, s := range grammars {
		all["grammar: "+name] = Spec{EBNF, s}
	}
	return all
}

// Law: a hostile grammar is refused within two seconds, or compiles within them
// and then takes no step that holds an engine up; memory stays within bounds.
func TestHostileGrammarsAreBounded(t *testing.T) {
	c, _ := vocabulary(t)
	all := hostile()
	if len(all) < 50 {
		t.Fatalf("only %d specs", len(all))
	}
	before, most := resident(t), 0
	refused := 0
	for name, spec := range all {
		began := cpuTime(t)
		g, err := c.Compile(context.Background(), spec)
		took := cpuTime(t) - began
		if took > 2*time.Second {
			t.Errorf("%s: compiling took %v", name, took)
		}
		most = max(most, resident(t)-before)
		if err != nil {
			refused++
			if len(err.Error()) > 1000 {
				t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
			}
			t.Logf("%-32s refused after %v: %.100s", name, took.Round(time.Millisecond), err)
			continue
		}
		m, err := g.Matcher()
		if err != nil {
			t.Fatal(err)
		}
		steps, slowest, err := walk(t, m.Mask, m.Take, rand.New(rand.NewPCG(1, 1)))
		if slowest > 500*time.Millisecond {
			t.Errorf("%s: a step takes %v", name, slowest)
		}
		if err != nil {
			t.Errorf("%s: compiles, and fails in step %d: %v", name, steps, err)
		}
		t.Logf("%-32s compiled in %v, slowest of %d steps %v, %v", name, took.Round(time.Millisecond), steps, slowest.Round(time.Microsecond), err)
		most = max(most, resident(t)-before)
		m.Close()
	}
	t.Logf("%d specs, %d refused; memory grew by at most %d MiB", len(all), refused, most>>20)
	if limit := 1 << 30; most > limit { // 32 are remembered, 64 MiB each at worst; two compile at a time
		t.Errorf("memory grew by %d MiB", most>>20)
	}
}

// cpuTime is what the process has used of the machine's cores so far: a time
// that a busy machine does not stretch.
func cpuTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// walk says noise that the grammar allows.
func walk(t *testing.T, mask func([]uint32) error, take func([]int32) (int, bool, bool, error), r *rand.Rand) (steps int, slowest time.Duration, err error) {
	dst := make([]uint32, 40)
	for steps < 48 {
		began := cpuTime(t)
		if err := mask(dst); err != nil {
			return steps, max(slowest, cpuTime(t)-began), err
		}
		var allowed []int32
		for id := range int32(len(dst) * 32) {
			if dst[id/32]>>(id%32)&1 != 0 {
				allowed = append(allowed, id)
			}
		}
		if len(allowed) == 0 {
			return steps, slowest, nil
		}
		_, stopped, _, err := take(allowed[r.IntN(len(allowed)):][:1])
		slowest = max(slowest, cpuTime(t)-began)
		if steps++; err != nil || stopped {
			return steps, slowest, err
		}
	}
	return steps, slowest, nil
}

// resident is the process's memory in bytes; 0 where that is not known.
func resident(t *testing.T) int {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var total, pages int
	if _, err := fmt.Sscan(string(data), &total, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// While hostile grammars are compiled others go on: one that is known at once, one
// that is not after those before it.
func TestHostileGrammarsHoldNobodyUp(t *testing.T) {
	c, _ := vocabulary(t)
	known := Spec{Regex, "[a-z]+"}
	if _, err := c.Compile(context.Background(), known); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	for i := range 6 {
		go func() {
			_, _ = c.Compile(context.Background(), Spec{Regex, fmt.Sprintf("((a{1000}){1000}){1000}%d", i)})
			done <- struct{}{}
		}()
	}
	var rounds []time.Duration
	for left := 6; left > 0; {
		select {
		case <-done:
			left--
		default:
			began := time.Now()
			g, err := c.Compile(context.Background(), known)
			if err != nil {
				t.Fatal(err)
			}
			m, err := g.Matcher()
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := walk(t, m.Mask, m.Take, rand.New(rand.NewPCG(1, 1))); err != nil {
				t.Fatal(err)
			}
			m.Close()
			rounds = append(rounds, time.Since(began))
		}
	}
	// One round may meet a busy machine; who waits for hostile grammars does it in
	// each, and then there are few.
	if slices.Sort(rounds); len(rounds) == 0 {
		t.Fatal("no round while others compiled")
	}
	t.Logf("%d rounds, the slowest took %v", len(rounds), rounds[len(rounds)-1])
	if middle := rounds[len(rounds)/2]; middle > 500*time.Millisecond {
		t.Errorf("a known grammar waits for %v", middle)
	}
}
