package native

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func render(source, context string) (string, error) {
	return renderIn(Limits{}, source, context)
}

func renderIn(limits Limits, source, context string) (string, error) {
	template, err := CompileTemplate(source, limits)
	if err != nil {
		return "", err
	}
	defer template.Close()
	return template.Render([]byte(context), time.Unix(0, 0).UTC())
}

// A template that wants too much is an error, whatever it wants, and the process
// lives on.
func TestHostileTemplatesAreErrors(t *testing.T) {
	wide := func(unit string, n int) string { return strings.Repeat(unit, n) }
	nest := func(n int, wrap string) string {
		return fmt.Sprintf(`{%% set ns = namespace(x=[]) %%}{%% for i in range(%d) %%}{%% for j in range(100) %%}`+
			`{%% set ns.x = %s %%}{%% endfor %%}{%% endfor %%}`, n/100, wrap)
	}
	hostile := map[string]string{
		"parentheses":         "{{ " + wide("(", 20000) + "1" + wide(")", 20000) + " }}",
		"brackets":            "{{ " + wide("[", 20000) + wide("]", 20000) + " }}",
		"ifs":                 wide("{% if 1 %}", 20000) + wide("{% endif %}", 20000),
		"fors":                wide("{% for x in [1] %}", 20000) + wide("{% endfor %}", 20000),
		"an endless loop":     "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
		"doubling ~":          "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
		"doubling +":          "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x|length }}",
		"doubling lists":      "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x|list|length }}",
		"repetition":          "{{ 'a' * 10**9 }}",
		"repetition of lists": "{{ ([1] * 10**9)|list }}",
		"replacement":         "{% set x = 'a' * 10**6 %}{{ x|replace('a', x) }}",
		"replacement method":  "{% set x = 'a' * 10**6 %}{{ x.replace('a', x) }}",
		"joining":             "{% set x = 'a' * 10**6 %}{{ ([x] * 10**5)|join(x) }}",
		"splitting":           "{{ ('a' * 10**7).split('a')|list }}",
		"range":               "{{ range(10**9)|list }}",
		"format width":        "{{ '%1000000000d'|format(1) }}",
		"format method":       "{{ '{:1000000000}'.format(1) }}",
		"indent":              "{{ 'a\nb'|indent(10**9) }}",
		"json indent":         "{{ [1]|tojson(indent=10**9) }}",
		"batch":               "{{ [1]|batch(10**9, 0)|list }}",
		"slice":               "{{ [1]|slice(10**9)|list }}",
		"output":              "{% set x = 'a' * 10**7 %}{% for i in range(1000) %}{{ x }}{% endfor %}",
		"captured output":     "{% set x = 'a' * 10**6 %}{% set y %}{% for i in range(100000) %}{{ x }}{% endfor %}{% endset %}",
		"churn":               "{% set x = 'a' * 10**7 %}{% for i in range(100000) %}{% set y = x ~ i %}{% endfor %}",
		"endless recursion":   "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
		"recursive loop":      "{% for x in [[[]]] recursive %}{{ loop([[[x]]]) }}{% endfor %}",
		"big power":           "{{ 10**10**10 }}",
		"size of the source":  wide("a", 2<<20),
		"printing deep":       nest(50000, "[ns.x]") + "{{ ns.x }}",
		"json of deep":        nest(50000, "[ns.x]") + "{{ ns.x|tojson }}",
		"a caller":            "{% macro m() %}{{ caller() }}{% endmacro %}" + "{% macro f() %}{% call m() %}{{ f() }}{% endcall %}{% endmacro %}{{ f() }}",
		"unknown include":     "{% include 'x' %}",
		"self extending":      "{% extends 'template' %}",
		"self including":      "{% include 'template' %}",
		"self importing":      "{% import 'template' as t %}",
	}
	for name, source := range hostile {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			out, err := renderIn(Limits{Time: 2 * time.Second}, source, "{}")
			if err == nil {
				t.Errorf("rendered %d bytes", len(out))
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			if strings.Contains(fmt.Sprint(err), "panic") {
				t.Error(err)
			}
			t.Logf("%v: %.100s", time.Since(start), fmt.Sprint(err))
		})
	}
}

// What is deep but within the limits must not overflow the stack: values are
// dropped, compared and printed by recursion, operators compiled by it. Whether
// it renders or is refused, the process lives on.
func TestDeepTemplatesDoNotOverflowTheStack(t *testing.T) {
	nest := func(levels int, unit string) string {
		return fmt.Sprintf(`{%% set ns = namespace(x=[], y=[]) %%}{%% for i in range(%d) %%}{%% for j in range(1000) %%}`+
			`%s{%% endfor %%}{%% endfor %%}`, levels/1000, unit)
	}
	const (
		list  = `{% set ns.x = [ns.x] %}`
		lists = list + `{% set ns.y = [ns.y] %}`
	)
	chain := func(unit string) string { return "{{ 1" + strings.Repeat(unit, (1<<20-100)/len(unit)) + " }}" }
	for name, source := range map[string]string{
		"drop lists":     nest(1000000, list),
		"drop maps":      nest(300000, `{% set ns.x = {'a': ns.x} %}`),
		"drop products":  nest(300000, `{% set ns.x = ns.x * 1 %}`),
		"drop too many":  nest(3000000, list),
		"compare":        nest(300000, lists) + `{{ ns.x == ns.y }}`,
		"order":          nest(300000, lists) + `{{ ns.x < ns.y }}`,
		"print by ~":     nest(400000, list) + `{{ (ns.x ~ '')|length }}`,
		"as a key":       nest(400000, list) + `{{ {ns.x: 1}|length }}`,
		"lazy slices":    nest(1000000, `{% set ns.x = ns.x[0:] %}`),
		"lazy products":  nest(200000, `{% set ns.x = ns.x * 1 %}`) + `{{ ns.x|list }}`,
		"chain of +":     chain("+1"),
		"chain of ~":     chain("~1"),
		"chain of dots":  chain(".a"),
		"chain of calls": chain("()"),
		"chain of items": chain("[1]"),
		"chain of pipes": chain("|e"),
		"chain of tests": chain(" is odd"),
		"chain of elifs": "{% if 0 %}" + strings.Repeat("{% elif 0 %}", 80000) + "{% endif %}",
		"ternaries":      "{{ " + strings.Repeat("1 if 0 else ", 80000) + "1 }}",
		"comparisons":    chain("<1"),
		"powers":         chain("**1"),
		"unary":          "{{ " + strings.Repeat("not ", 200000) + "1 }}",
		"minus":          "{{ " + strings.Repeat("-", 1000000) + "1 }}",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			out, err := renderIn(Limits{Steps: 1 << 40, Time: 2 * time.Second}, source, "{}")
			t.Logf("%v: %d bytes, %.100s", time.Since(start), len(out), fmt.Sprint(err))
			var panicked *PanicError
			if errors.As(err, &panicked) {
				t.Error(err)
			}
		})
	}
}

func TestLimitsAreNamed(t *testing.T) {
	for _, c := range []struct {
		limits Limits
		source string
		want   string
	}{
		{Limits{Steps: 100}, "{% for i in range(100) %}{% endfor %}", "steps"},
		{Limits{Output: 10}, "{{ 'a' * 11 }}", "more than 10 bytes"},
		{Limits{Memory: 1 << 20}, "{{ 'a' * 10**7 }}", "holds more than"},
		{Limits{Time: time.Millisecond}, "{% for i in range(100000) %}{% endfor %}" + strings.Repeat("{% for i in range(100000) %}{% endfor %}", 100), "longer than 1 ms"},
		{Limits{Depth: 20}, "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(30) }}", "recursion"},
		{Limits{Source: 10}, "0123456789a", "longer than 10"},
	} {
		template, err := CompileTemplate(c.source, c.limits)
		if err == nil {
			_, err = template.Render([]byte("{}"), time.Time{})
			template.Close()
		}
		var limit *LimitError
		if !errors.As(err, &limit) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.source, err)
		}
	}
}

func TestErrorsSayWhat(t *testing.T) {
	_, err := render("{{ raise_exception('say ' ~ 'why') }}", "{}")
	var raised *RaisedError
	if !errors.As(err, &raised) || raised.Message != "say why" {
		t.Errorf("raise_exception: %v", err)
	}
	for source, context := range map[string]string{
		"{% if %}":      "{}",
		"{{ x.y.z }}":   "{}",
		"{{ 1 | nope}}": "{}",
		"a":             "[]",
		"b":             "{",
		"c":             `{"a": ` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}",
		"\xff":          "{}",
		"d":             "\xff",
		"":              "",
	} {
		if out, err := render(source, context); err == nil {
			t.Errorf("%q over %.20q rendered %q", source, context, out)
		}
	}
}

func TestTemplatesKeepNulAndEverythingElse(t *testing.T) {
	const all = "a\x00b\u200b\U0001f600é\r\n"
	out, err := render("{{ x }}\x00{{ x }}", `{"x": "a\u0000b\u200b\ud83d\ude00é\r\n"}`)
	if want := all + "\x00" + all; err != nil || out != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}
}

func TestTheClockIsTheCallers(t *testing.T) {
	template, err := CompileTemplate("{{ strftime_now('%d %b %Y %H:%M %z') }}", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer template.Close()
	zone := time.FixedZone("", 2*3600)
	if got, err := template.Render([]byte("{}"), time.Date(2026, 11, 21, 23, 30, 0, 0, zone)); got != "21 Nov 2026 23:30 +0200" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAClosedTemplateIsAnError(t *testing.T) {
	template, err := CompileTemplate("{% for i in range(1000) %}{{ i }}{% endfor %}", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			for {
				if _, err := template.Render([]byte("{}"), time.Time{}); err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	for range 2 {
		if err := template.Close(); err != nil {
			t.Error(err)
		}
	}
	calls.Wait()
}

func BenchmarkRender(b *testing.B) {
	template, err := CompileTemplate("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}", Limits{})
	if err != nil {
		b.Fatal(err)
	}
	defer template.Close()
	context := []byte(`{"messages": [{"role": "user", "content": "Which is greater?"}]}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := template.Render(context, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}
