package bench

import (
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/model"
	"github.com/reasond/reasond/internal/weights"
)

// Schema is the version of Result's JSON. It grows when a field changes its
// meaning or goes; new fields leave it.
const Schema = 1

// Result is a run, as --json writes it and --compare reads it.
type Result struct {
	Schema  int       `json:"schema"`
	Version string    `json:"version"` // of reasond
	Date    time.Time `json:"date"`
	Machine Machine   `json:"machine"`
	Model   Model     `json:"model"`
	Limits  []Limits  `json:"limits"`
	Rows    []Row     `json:"rows"`

	Perplexity *Perplexity `json:"perplexity,omitempty"`
}

func newResult() *Result {
	return &Result{Schema: Schema, Date: time.Now().UTC(), Limits: []Limits{}, Rows: []Row{}}
}

// describe fills in the machine and the model.
func (r *Result) describe(src *weights.Model, be backend.Backend, c *model.Config, exact bool) {
	info := be.Info()
	r.Machine = Machine{CPU: processor(), Cores: min(runtime.NumCPU(), runtime.GOMAXPROCS(0)), Backend: info.Name, ISA: info.ISA}
	r.Model = Model{
		Name: filepath.Base(src.Path), Architecture: c.Architecture, Parameters: c.Parameters(),
		FileBytes: src.TotalBytes(), WeightBytes: info.WeightBytes, Float32: exact,
	}
}

// Machine is what was measured on.
type Machine struct {
	CPU     string `json:"cpu"`
	Cores   int    `json:"cores"` // that the process may use
	Backend string `json:"backend"`
	ISA     string `json:"isa,omitempty"`
}

// Model is what ran.
type Model struct {
	Name         string `json:"name"`
	Architecture string `json:"architecture"`
	Parameters   int64  `json:"parameters"`
	FileBytes    int64  `json:"file_bytes"`
	WeightBytes  int64  `json:"weight_bytes"` // as packed
	Float32      bool   `json:"float32,omitempty"`
}

// The tests of a Row.
const (
	PrefillTest = "prefill"
	DecodeTest  = "decode"
)

// Row is one measurement. Prefill computes Tokens of one prompt behind Depth
// others; decode adds Tokens to each of Batch sequences of Depth tokens.
type Row struct {
	Test    string    `json:"test"`
	Threads int       `json:"threads"`
	Batch   int       `json:"batch"`
	Tokens  int       `json:"tokens"`
	Depth   int       `json:"depth"`
	Speed   float64   `json:"tokens_per_s"` // median, of all sequences together
	Spread  float64   `json:"spread"`       // distance of the quartiles, tokens/s
	Samples []float64 `json:"samples"`      // tokens/s, in order
	// Shares of Limits; null: the limit is not known.
	Bandwidth *float64 `json:"bandwidth_share"`
	Peak      *float64 `json:"peak_share"`
	// What the shares were computed from.
	Bytes float64            `json:"bytes"`
	Ops   map[string]float64 `json:"operations"`
}

// key is what makes rows of two runs comparable.
type key struct {
	test                          string
	threads, batch, tokens, depth int
}

func (r *Row) key() key { return key{r.Test, r.Threads, r.Batch, r.Tokens, r.Depth} }

// speeds are those of the rows; of no result, none.
func (r *Result) speeds() map[key]float64 {
	m := map[key]float64{}
	if r != nil {
		for i := range r.Rows {
			m[r.Rows[i].key()] = r.Rows[i].Speed
		}
	}
	return m
}

// String names the measurement.
func (r *Row) String() string {
	name := fmt.Sprintf("%s %d", r.Test, r.Tokens)
	if r.Batch > 1 {
		name += fmt.Sprintf(" × %d", r.Batch)
	}
	if r.Depth > 0 {
		name += fmt.Sprintf(" at %d", r.Depth)
	}
	return name
}
