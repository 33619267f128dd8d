package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// The types below are pflag.Values that say in words what they do not accept.
// Their constructors keep the default that the variable holds.

type text struct{ p *string }

// String is a flag that takes any text.
func String(p *string) pflag.Value { return text{p} }
func (v text) String() string      { return deref(v.p) }
func (v text) Set(s string) error  { *v.p = s; return nil }
func (text) Type() string          { return "string" }
func deref[T any](p *T) (zero T) {
	if p != nil {
		return *p
	}
	return zero
}

type integer struct {
	p        *int
	min, max int
	name     string
}

// Int is a whole number from min to max; name is what help calls it.
func Int(p *int, name string, min, max int) pflag.Value {
	return &integer{p, min, max, name}
}

// Optional is an integer that may stay unset: 0 is a value like others. A
// negative number unsets it.
func Optional(p **int, name string, min, max int) pflag.Value {
	return &optional{p, integer{new(int), min, max, name}}
}

type optional struct {
	p **int
	integer
}

func (v *optional) String() string {
	if v.p == nil || *v.p == nil {
		return ""
	}
	return strconv.Itoa(**v.p)
}

func (v *optional) Set(s string) error {
	if n, err := strconv.Atoi(s); err == nil && n < 0 {
		*v.p = nil
		return nil
	}
	if err := v.integer.Set(s); err != nil {
		return err
	}
	n := *v.integer.p
	*v.p = &n
	return nil
}

func (v *integer) String() string {
	if deref(v.p) == 0 {
		return "" // 0 means that nothing is set; help shows no default then
	}
	return strconv.Itoa(*v.p)
}
func (v *integer) Type() string { return v.name }
func (v *integer) Set(s string) error {
	n, err := strconv.Atoi(s)
	switch {
	case err != nil:
		return errors.New("not a whole number")
	case n < v.min && v.max == math.MaxInt:
		return fmt.Errorf("must be at least %d", v.min)
	case n < v.min || n > v.max:
		return fmt.Errorf("must be from %d to %d", v.min, v.max)
	}
	*v.p = n
	return nil
}

type boolean struct {
	p      *bool
	invert bool
}

// Bool is a switch.
func Bool(p *bool) pflag.Value { return &boolean{p: p} }

// Not is a switch that turns *p off.
func Not(p *bool) pflag.Value { return &boolean{p: p, invert: true} }

func (v *boolean) String() string   { return strconv.FormatBool(deref(v.p) != v.invert) }
func (v *boolean) Type() string     { return "bool" }
func (v *boolean) IsBoolFlag() bool { return true }
func (v *boolean) Set(s string) error {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("neither true nor false")
	}
	*v.p = b != v.invert
	return nil
}

type choice struct {
	p       *string
	allowed []string
}

// Choice is one of some words. A further spelling is written "other=word".
func Choice(p *string, allowed ...string) pflag.Value { return &choice{p, allowed} }

func (v *choice) String() string { return deref(v.p) }
func (v *choice) Type() string   { return strings.Join(v.words(), "|") }
func (v *choice) Set(s string) error {
	for _, word := range v.allowed {
		other, meant, renamed := strings.Cut(word, "=")
		if !strings.EqualFold(s, other) {
			continue
		}
		*v.p = other
		if renamed {
			*v.p = meant
		}
		return nil
	}
	return fmt.Errorf("must be one of %s", strings.Join(v.words(), ", "))
}

func (v *choice) words() []string {
	return slices.DeleteFunc(slices.Clone(v.allowed), func(w string) bool { return strings.Contains(w, "=") })
}

type list struct {
	p    *[]string
	name string
}

// List is a flag that may be repeated; each use adds one value.
func List(p *[]string, name string) pflag.Value { return &list{p, name} }

func (v *list) String() string { return strings.Join(deref(v.p), ",") }
func (v *list) Type() string   { return v.name }
func (v *list) Set(s string) error {
	if s == "" {
		return errors.New("must not be empty")
	}
	*v.p = append(*v.p, s)
	return nil
}

// Words is some words, with commas between them or in several uses.
func Words(p *[]string, allowed ...string) pflag.Value {
	return &words{p: p, one: choice{new(string), allowed}}
}

type words struct {
	p   *[]string
	one choice
}

func (v *words) String() string { return strings.Join(deref(v.p), ",") }
func (v *words) Type() string   { return v.one.Type() }
func (v *words) Set(s string) error {
	for word := range strings.SplitSeq(s, ",") {
		if err := v.one.Set(strings.TrimSpace(word)); err != nil {
			return err
		}
		if !slices.Contains(*v.p, *v.one.p) {
			*v.p = append(*v.p, *v.one.p)
		}
	}
	return nil
}

type duration struct{ p *time.Duration }

// Duration is a time such as 30s or 2m; a bare number counts seconds.
func Duration(p *time.Duration) pflag.Value { return duration{p} }

func (v duration) String() string { return deref(v.p).String() }
func (duration) Type() string     { return "duration" }
func (v duration) Set(s string) error {
	d, err := time.ParseDuration(s)
	if seconds, numeric := strconv.ParseFloat(s, 64); numeric == nil {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || d < 0 {
		return errors.New("not a time such as 30s, 2m or a number of seconds")
	}
	*v.p = d
	return nil
}

type size struct{ p *int64 }

// Size is a number of bytes: 1073741824, 1GiB, 1G (1024s) or 1GB (1000s).
func Size(p *int64) pflag.Value { return size{p} }

func (v size) String() string {
	if deref(v.p) == 0 {
		return ""
	}
	return strconv.FormatInt(*v.p, 10)
}
func (size) Type() string { return "bytes" }
func (v size) Set(s string) error {
	number := strings.TrimRight(s, "kKmMgGtTiIbB")
	unit, ok := units[strings.ToLower(strings.TrimSpace(s[len(number):]))]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !ok || !(n >= 0) || n*unit >= math.MaxInt64 {
		return errors.New("not a size such as 4GiB, 512M or a number of bytes")
	}
	*v.p = int64(n * unit)
	return nil
}

var units = map[string]float64{
	"": 1, "b": 1,
	"k": 1 << 10, "kib": 1 << 10, "kb": 1e3,
	"m": 1 << 20, "mib": 1 << 20, "mb": 1e6,
	"g": 1 << 30, "gib": 1 << 30, "gb": 1e9,
	"t": 1 << 40, "tib": 1 << 40, "tb": 1e12,
}

type object struct{ p *map[string]json.RawMessage }

// Object is a JSON object.
func Object(p *map[string]json.RawMessage) pflag.Value { return object{p} }

func (v object) String() string {
	if len(deref(v.p)) == 0 {
		return ""
	}
	b, _ := json.Marshal(*v.p) // cannot fail: the values were valid JSON
	return string(b)
}
func (object) Type() string { return "json" }
func (v object) Set(s string) error {
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(s), &m); err != nil || m == nil {
		return errors.New(`not a JSON object such as {"enable_thinking": false}`)
	}
	*v.p = m
	return nil
}

type float struct {
	p        *float64
	min, max float64
}

// Float is a number from min to max; a value below min is shown as no default.
func Float(p *float64, min, max float64) pflag.Value { return &float{p, min, max} }

func (v *float) Type() string { return "number" }
func (v *float) String() string {
	if v.p == nil || *v.p < v.min {
		return ""
	}
	return strconv.FormatFloat(*v.p, 'g', -1, 64)
}
func (v *float) Set(s string) error {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || !(x >= v.min && x <= v.max) {
		return fmt.Errorf("must be a number from %g to %g", v.min, v.max)
	}
	*v.p = x
	return nil
}
