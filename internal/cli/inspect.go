package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/reasond/reasond/internal/bundle"
	"github.com/reasond/reasond/internal/config"
	"github.com/reasond/reasond/internal/weights"
	tinyreasoner "github.com/reasond/reasond/testdata/tiny-reasoner"
)

type inspectOptions struct {
	path        string // empty: the embedded model
	json        bool
	downloadDir string
}

func (o *inspectOptions) AddFlags(f *config.Flags) {
	f.Var(config.Bool(&o.json), "json", "", "print a JSON object")
	f.Var(config.String(&o.downloadDir), "download-dir", "", "where downloads go (default: Hugging Face's cache folder)")
}

func newInspect(w world) *cobra.Command {
	var o inspectOptions
	c := &cobra.Command{
		Use:   "inspect [MODEL]",
		Short: "Describe a model file without running it",
		Long: `Describe a model: format, architecture, parameters, tensors by type, tokenizer,
chat template, end tokens and context. MODEL is a folder, a .gguf file or a hub
id; without it, the model that is built in.`,
	}
	return command(c, w, o.AddFlags, cobra.MaximumNArgs(1), func(ctx context.Context, args []string) error {
		if len(args) == 1 {
			o.path = args[0]
		}
		return runInspect(ctx, w, o)
	})
}

func runInspect(ctx context.Context, w world, o inspectOptions) error {
	m, err := openWeights(ctx, w, o)
	if err != nil {
		return err
	}
	defer m.Close()
	d, err := describe(m)
	if err != nil {
		return err
	}
	if o.json {
		e := json.NewEncoder(w.out)
		e.SetIndent("", "  ")
		return e.Encode(d)
	}
	return d.print(w.out)
}

func openWeights(ctx context.Context, w world, o inspectOptions) (*weights.Model, error) {
	if o.path == "" {
		return weights.OpenFS(tinyreasoner.FS, bundle.Embedded)
	}
	log := newLogger(w.err, "warn", "auto")
	bars := newProgress(w.err, log)
	defer bars.Close()
	found, err := locate(ctx, w, log, bars, o.path, o.downloadDir)
	if err != nil {
		return nil, err
	}
	return weights.Open(found.path)
}

// description is what inspect prints.
type description struct {
	Path         string        `json:"path"`
	Format       string        `json:"format"`
	Architecture string        `json:"architecture"`
	Parameters   int64         `json:"parameters"`
	Bytes        int64         `json:"bytes"`
	Tensors      []tensorCount `json:"tensors"`
	Layers       int           `json:"layers"`
	Hidden       int           `json:"hidden_size"`
	Heads        int           `json:"attention_heads"`
	KVHeads      int           `json:"key_value_heads"`
	Experts      int           `json:"experts,omitempty"`
	TokenExperts int           `json:"experts_per_token,omitempty"`
	Vocabulary   int           `json:"vocabulary"`
	Context      int           `json:"context"`
	Tied         bool          `json:"tied_embeddings"`
	RoPEScaling  string        `json:"rope_scaling,omitempty"`
	Tokenizer    string        `json:"tokenizer"`
	ChatTemplate bool          `json:"chat_template"`
	EOS          []int         `json:"eos_token_ids"`
}

// tensorCount sums the tensors of one element format.
type tensorCount struct {
	Type   string `json:"type"`
	Count  int    `json:"count"`
	Values int64  `json:"values"`
}

func describe(m *weights.Model) (*description, error) {
	var c struct {
		Architectures []string       `json:"architectures"`
		ModelType     string         `json:"model_type"`
		Layers        int            `json:"num_hidden_layers"`
		Hidden        int            `json:"hidden_size"`
		Heads         int            `json:"num_attention_heads"`
		KVHeads       int            `json:"num_key_value_heads"`
		Experts       int            `json:"num_experts"`
		LocalExperts  int            `json:"num_local_experts"`
		RoutedExperts int            `json:"n_routed_experts"`
		TokenExperts  int            `json:"num_experts_per_tok"`
		Vocab         int            `json:"vocab_size"`
		Context       int            `json:"max_position_embeddings"`
		Tied          bool           `json:"tie_word_embeddings"`
		Scaling       map[string]any `json:"rope_scaling"`
		EOS           any            `json:"eos_token_id"`
	}
	if err := json.Unmarshal(m.Config, &c); err != nil {
		return nil, fmt.Errorf("model %s: config.json: %w", m.Path, err)
	}
	d := &description{
		Path: m.Path, Format: m.Format, Architecture: c.ModelType, Bytes: m.TotalBytes(),
		Layers: c.Layers, Hidden: c.Hidden, Heads: c.Heads, KVHeads: c.KVHeads,
		Experts: max(c.Experts, c.LocalExperts, c.RoutedExperts), TokenExperts: c.TokenExperts,
		Vocabulary: c.Vocab, Context: c.Context, Tied: c.Tied,
	}
	if len(c.Architectures) > 0 {
		d.Architecture = c.Architectures[0]
	}
	if d.KVHeads == 0 {
		d.KVHeads = d.Heads // Hugging Face's default
	}
	for _, key := range []string{"rope_type", "type"} {
		if s, ok := c.Scaling[key].(string); ok && d.RoPEScaling == "" {
			d.RoPEScaling = s
		}
	}
	d.countTensors(m)
	d.EOS = eosIDs(c.EOS, m.Generation)
	d.Tokenizer, d.ChatTemplate = describeText(m)
	return d, nil
}

// countTensors fills Tensors, the formats with most values first, and
// Parameters.
func (d *description) countTensors(m *weights.Model) {
	byType := map[string]*tensorCount{}
	for _, name := range m.Names() {
		shape, dtype, _ := m.Shape(name)
		values := int64(1)
		for _, n := range shape {
			values *= int64(n)
		}
		t := byType[dtype.String()]
		if t == nil {
			t = &tensorCount{Type: dtype.String()}
			byType[t.Type] = t
		}
		t.Count++
		t.Values += values
		d.Parameters += values
	}
	for _, t := range byType {
		d.Tensors = append(d.Tensors, *t)
	}
	slices.SortFunc(d.Tensors, func(a, b tensorCount) int {
		if a.Values != b.Values {
			return int(min(max(b.Values-a.Values, -1), 1))
		}
		return strings.Compare(a.Type, b.Type)
	})
}

// eosIDs unites the end tokens of config.json and generation_config.json; each
// is a number or a list of numbers.
func eosIDs(config any, generation json.RawMessage) []int {
	var g struct {
		EOS any `json:"eos_token_id"`
	}
	_ = json.Unmarshal(generation, &g) // absent or odd: no end tokens from there
	ids := []int{}
	var add func(v any)
	add = func(v any) {
		switch v := v.(type) {
		case float64:
			ids = append(ids, int(v))
		case []any:
			for _, one := range v {
				add(one)
			}
		}
	}
	add(config)
	add(g.EOS)
	slices.Sort(ids)
	return slices.Compact(ids)
}

// describeText tells the tokenizer in a few words, and whether the model brings
// a chat template.
func describeText(m *weights.Model) (tokenizer string, template bool) {
	if m.Meta != nil {
		kind, _ := m.Meta.String("tokenizer.ggml.model")
		pre, _ := m.Meta.String("tokenizer.ggml.pre")
		tokens, _ := m.Meta.Strings("tokenizer.ggml.tokens")
		_, template = m.Meta.String("tokenizer.chat_template")
		if len(tokens) == 0 {
			return "none", template
		}
		return fmt.Sprintf("%s (%d tokens)", strings.TrimSuffix(kind+"/"+pre, "/"), len(tokens)), template
	}
	var t struct {
		Model struct {
			Type  string          `json:"type"`
			Vocab json.RawMessage `json:"vocab"`
		} `json:"model"`
		Added []struct {
			ID int `json:"id"`
		} `json:"added_tokens"`
	}
	tokenizer = "none"
	if err := readJSON(m.FS, "tokenizer.json", &t); err == nil {
		tokens := entries(t.Model.Vocab) // added tokens may be among them or follow them
		for _, added := range t.Added {
			tokens = max(tokens, added.ID+1)
		}
		tokenizer = fmt.Sprintf("%s (%d tokens)", t.Model.Type, tokens)
	}
	if _, err := fs.Stat(m.FS, "chat_template.jinja"); err == nil {
		return tokenizer, true
	}
	var settings struct {
		Template json.RawMessage `json:"chat_template"`
	}
	err := readJSON(m.FS, "tokenizer_config.json", &settings)
	return tokenizer, err == nil && len(settings.Template) > 0 && string(settings.Template) != "null"
}

// entries is the length of a JSON object or array.
func entries(raw json.RawMessage) int {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) == nil {
		return len(object)
	}
	var array []json.RawMessage
	_ = json.Unmarshal(raw, &array)
	return len(array)
}

func readJSON(fsys fs.FS, name string, v any) error {
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

func (d *description) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	row("model", "%s", d.Path)
	row("format", "%s", d.Format)
	row("architecture", "%s", d.Architecture)
	row("parameters", "%s (%s)", short(d.Parameters), bytesText(d.Bytes))
	for _, c := range d.Tensors {
		row("tensors", "%d %s (%s values)", c.Count, c.Type, short(c.Values))
	}
	row("layers", "%d, hidden %d, heads %d, key-value heads %d", d.Layers, d.Hidden, d.Heads, d.KVHeads)
	if d.Experts > 0 {
		row("experts", "%d, %d a token", d.Experts, d.TokenExperts)
	}
	row("embeddings", "%s", map[bool]string{true: "tied", false: "untied"}[d.Tied])
	row("tokenizer", "%s", d.Tokenizer)
	row("vocabulary", "%d", d.Vocabulary)
	row("chat template", "%s", map[bool]string{true: "yes", false: "no"}[d.ChatTemplate])
	row("end tokens", "%s", strings.Trim(fmt.Sprint(d.EOS), "[]"))
	if d.RoPEScaling == "" {
		row("context", "%d tokens", d.Context)
	} else {
		row("context", "%d tokens, RoPE scaling %s", d.Context, d.RoPEScaling)
	}
	return t.Flush()
}

// short is a count in thousands, millions or billions.
func short(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f B", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.2f M", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f k", float64(n)/1e3)
	}
	return fmt.Sprint(n)
}

// bytesText is a number of bytes in binary units.
func bytesText(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	value, u := float64(n), 0
	for value >= 1024 && u < len(units)-1 {
		value, u = value/1024, u+1
	}
	if u == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", value, units[u])
}
