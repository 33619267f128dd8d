package weights

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Quantisation is config.json's quantization_config, read and checked: how the
// file's tensors state weights. The zero value: as they are.
type Quantisation struct {
	Method string // "fp8", "mxfp4", "awq", "gptq", "compressed-tensors"; "": none
	Block  [2]int // fp8: rows and columns that share a scale
	Group  int    // int4: columns that share a scale; 0: all of a row
	// ZeroMinusOne: gptq's first format stores zero points less one.
	ZeroMinusOne bool
	Symmetric    bool // compressed-tensors: there are no zero points, all are 8
}

// rawQuantisation is the spelling of all methods together.
type rawQuantisation struct {
	Method           string  `json:"quant_method"`
	Format           string  `json:"fmt"`
	ActivationScheme string  `json:"activation_scheme"`
	WeightBlock      []int   `json:"weight_block_size"`
	Bits             *int    `json:"bits"`
	GroupSize        *int    `json:"group_size"`
	ZeroPoint        *bool   `json:"zero_point"`
	Version          *string `json:"version"`
	DescAct          bool    `json:"desc_act"`
	CheckpointFormat *string `json:"checkpoint_format"`

	Packing string              `json:"format"`
	Groups  map[string]rawGroup `json:"config_groups"`
}

// rawGroup is a config group of compressed-tensors.
type rawGroup struct {
	Weights *struct {
		Bits      int     `json:"num_bits"`
		Type      string  `json:"type"`
		Symmetric bool    `json:"symmetric"`
		Strategy  string  `json:"strategy"`
		GroupSize *int    `json:"group_size"`
		ActOrder  *string `json:"actorder"`
	} `json:"weights"`
	Input json.RawMessage `json:"input_activations"`
}

// ParseQuantisation reads the quantization_config of a config.json. An error is
// one line that names the field and what is supported.
func ParseQuantisation(config json.RawMessage) (Quantisation, error) {
	var outer struct {
		Raw *rawQuantisation `json:"quantization_config"`
	}
	if err := json.Unmarshal(config, &outer); err != nil {
		return Quantisation{}, fmt.Errorf("quantization_config: %w", err)
	}
	raw := outer.Raw
	if raw == nil {
		return Quantisation{}, nil
	}
	parse, ok := quantisations[raw.Method]
	if !ok {
		known := strings.Join(slices.Sorted(maps.Keys(quantisations)), ", ")
		return Quantisation{}, fmt.Errorf("quantization_config: quant_method %.40q is not supported; %s are", raw.Method, known)
	}
	q := Quantisation{Method: raw.Method}
	if err := parse(&q, raw); err != nil {
		return Quantisation{}, fmt.Errorf("quantization_config: %w", err)
	}
	return q, nil
}

var quantisations = map[string]func(*Quantisation, *rawQuantisation) error{
	"fp8":                parseFP8,
	"mxfp4":              func(*Quantisation, *rawQuantisation) error { return nil },
	"awq":                parseAWQ,
	"gptq":               parseGPTQ,
	"compressed-tensors": parseCompressed,
}

// parseFP8: DeepSeek-V3's block scales (arXiv 2412.19437, 3.3), which Qwen3-FP8
// has too. Activations stay in a wider format here, so their scheme must not
// bring scales of its own.
func parseFP8(q *Quantisation, raw *rawQuantisation) error {
	if raw.Format != "" && raw.Format != "e4m3" {
		return fmt.Errorf("fmt %.40q is not supported, only e4m3 is", raw.Format)
	}
	if raw.ActivationScheme != "" && raw.ActivationScheme != "dynamic" {
		return fmt.Errorf("activation_scheme %.40q is not supported, only dynamic is", raw.ActivationScheme)
	}
	if len(raw.WeightBlock) != 2 || raw.WeightBlock[0] < 1 || raw.WeightBlock[1] < 1 || max(raw.WeightBlock[0], raw.WeightBlock[1]) > 1<<20 {
		return fmt.Errorf("weight_block_size %v is not supported, must be [rows, columns]", raw.WeightBlock)
	}
	q.Block = [2]int(raw.WeightBlock)
	return nil
}

// parseAWQ: AutoAWQ's "gemm" version.
func parseAWQ(q *Quantisation, raw *rawQuantisation) error {
	if raw.Version != nil && !strings.EqualFold(*raw.Version, "gemm") {
		return fmt.Errorf("version %.40q is not supported, only gemm is", *raw.Version)
	}
	if raw.ZeroPoint != nil && !*raw.ZeroPoint {
		return fmt.Errorf("zero_point false is not supported")
	}
	return q.bits(raw)
}

// parseGPTQ: without act order, which reads inputs in an order of its own.
func parseGPTQ(q *Quantisation, raw *rawQuantisation) error {
	if raw.DescAct {
		return fmt.Errorf("desc_act true (act order) is not supported, only desc_act false is")
	}
	q.ZeroMinusOne = true
	if raw.CheckpointFormat != nil {
		switch *raw.CheckpointFormat {
		case "gptq":
		case "gptq_v2":
			q.ZeroMinusOne = false
		default:
			return fmt.Errorf("checkpoint_format %.40q is not supported; gptq and gptq_v2 are", *raw.CheckpointFormat)
		}
	}
	return q.bits(raw)
}

func (q *Quantisation) bits(raw *rawQuantisation) error {
	if raw.Bits == nil || *raw.Bits != 4 {
		return fmt.Errorf("bits must be 4")
	}
	return q.group(raw.GroupSize)
}

// group reads a number of columns; -1 and absence mean the whole row.
func (q *Quantisation) group(size *int) error {
	if size == nil || *size == -1 {
		return nil
	}
	if *size < 2 || *size%2 != 0 || *size > 1<<20 {
		return fmt.Errorf("group_size is %d, must be even and over 0, or -1", *size)
	}
	q.Group = *size
	return nil
}

// parseCompressed: "pack-quantized" int4 weights alone (W4A16).
func parseCompressed(q *Quantisation, raw *rawQuantisation) error {
	if raw.Packing != "pack-quantized" {
		return fmt.Errorf("format %.40q is not supported, only pack-quantized is", raw.Packing)
	}
	if len(raw.Groups) != 1 {
		return fmt.Errorf("config_groups has %d groups, must have 1", len(raw.Groups))
	}
	for name, g := range raw.Groups {
		w := g.Weights
		switch {
		case w == nil || w.Bits != 4 || w.Type != "int":
			return fmt.Errorf("config_groups: %.40q: only int weights of 4 bits are supported", name)
		case len(g.Input) > 0 && string(g.Input) != "null":
			return fmt.Errorf("config_groups: %.40q: quantised input_activations are not supported", name)
		case w.Strategy != "group" && w.Strategy != "channel":
			return fmt.Errorf("config_groups: %.40q: strategy %.40q is not supported; group and channel are", name, w.Strategy)
		case w.ActOrder != nil && *w.ActOrder != "weight" && *w.ActOrder != "static":
			return fmt.Errorf("config_groups: %.40q: actorder %.40q is not supported", name, *w.ActOrder)
		}
		q.Symmetric = w.Symmetric
		if err := q.group(w.GroupSize); err != nil {
			return err
		}
	}
	return nil
}
