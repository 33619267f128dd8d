package config

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

// Serve is what `reasond serve` is told. DefaultServe holds the defaults.
type Serve struct {
	Model     Model
	Upstream  Upstream
	Reasoning Reasoning

	Host       string
	Port       int    // 0: a free one
	UDS        string // a Unix socket's path instead of host and port
	APIKeys    []string
	APIKeyFile string // a file with one key a line
	Public     []string
	Hosts      []string // Host headers that are answered; empty: see internal/server

	ServedNames  []string
	AnyModelName bool

	MaxQueue     int           // requests that wait; more are refused
	DrainTimeout time.Duration // how long SIGTERM lets answers finish
	KeepAlive    time.Duration // pause of a stream after which a comment is sent; 0: never

	MetricsCompat []string // servers under whose names /metrics has its figures too

	LogLevel  string // debug, info, warn, error
	LogFormat string // auto, text, json

	NoEffect []string // a sentence for each flag given that does nothing here
}

// Model is what is opened and how: the part of Serve that commands which run a
// model in their own process share.
type Model struct {
	Path             string // folder, .gguf file or hub id; empty: the embedded tiny-reasoner
	Device           Device
	Libraries        Libraries
	DType            string // auto, float32, bfloat16
	MaxModelLen      int    // tokens of one choice; 0: what the model says
	ChatTemplate     string // a file; empty: the model's own
	TemplateKwargs   map[string]json.RawMessage
	Parser           string   // empty: chosen by the model
	ParserFiles      []string // each describes a further parser
	ToolParser       string   // empty: chosen by the model
	ThinkingBudget   *int     // default of requests; nil: none
	MaxThinking      *int     // ceiling; nil: none
	BreakLoops       bool
	EnableReasoning  bool // false: no parser, everything is content
	Threads          int  // 0: one a core that the process may use
	MaxSeqs          int
	MaxBatchedTokens int
	MaxPrefillStall  time.Duration // most that others' prompts may delay a token; 0: the engine's default
	Speculative      string        // auto, ngram, off: how tokens are guessed ahead
	DraftTokens      int           // most of them, a choice and step
	DraftModel       string        // guesses them too: folder, .gguf file or hub id; empty: none
	PrefixCaching    bool
	KVBytes          int64 // 0: chosen from the free memory
	GPUMemory        float64
	BatchInvariant   bool
	TensorParallel   int    // GPUs that share each layer
	DataParallel     int    // engines, each with the whole model
	CPURanks         bool   // TensorParallel on the CPU too
	DownloadDir      string // instead of Hugging Face's cache folder
}

// The backends' bounds, so that an error names the flag.
const (
	MaxThreads       = 1024
	MaxBatchedTokens = 1 << 16
)

// DefaultModel is how a model is opened when nothing is said.
func DefaultModel() Model {
	return Model{
		Device: Device{Kind: DeviceAuto},
		DType:  "auto", EnableReasoning: true,
		MaxSeqs: 64, MaxBatchedTokens: 512, PrefixCaching: true, GPUMemory: 0.9,
		Speculative: "auto", DraftTokens: 8,
		TensorParallel: 1, DataParallel: 1,
	}
}

// DefaultServe is what `reasond serve` does when nothing is said.
func DefaultServe() Serve {
	return Serve{
		Model:     DefaultModel(),
		Upstream:  Upstream{Kind: "openai", Mode: "chat"},
		Reasoning: DefaultReasoning(),
		Host:      "127.0.0.1", Port: 8000,
		MaxQueue:     256,
		DrainTimeout: 30 * time.Second,
		KeepAlive:    15 * time.Second,
		LogLevel:     "info", LogFormat: "auto",
	}
}

// AddFlags adds the flags of a model that is run in this process.
func (m *Model) AddFlags(f *Flags) {
	f.Var(String(&m.Path), "model", "m", "folder, .gguf file or hub id; the same as the argument MODEL", "model-path", "model-dir", "hf-repo", "hf")
	f.Var(DeviceValue(&m.Device), "device", "", "what computes; auto: a GPU if there is one, else the CPU")
	m.Libraries.AddFlags(f)
	f.Var(Choice(&m.DType, "auto", "float32", "bfloat16", "fp32=float32", "float=float32", "bf16=bfloat16"), "dtype", "", "arithmetic of weights that are not quantised; auto: fast, float32: exact")
	f.Var(Int(&m.MaxModelLen, "tokens", 1, math.MaxInt32), "max-model-len", "c", "longest prompt and answer together (default: the model's)", "context-length", "ctx-size", "session-len", "max-seq-len")
	f.Var(String(&m.ChatTemplate), "chat-template", "", "file with a Jinja template instead of the model's own", "chat-template-file")
	f.Var(Object(&m.TemplateKwargs), "default-chat-template-kwargs", "", "template options of requests that set none, as a JSON object", "chat-template-kwargs")
	f.Var(String(&m.Parser), "reasoning-parser", "", "how reasoning is told from content, such as qwen3 or deepseek-r1; auto: what the chat template shows; none: all is content (default: auto if that is certain)")
	f.Var(List(&m.ParserFiles, "file"), "reasoning-parser-plugin", "", "YAML or JSON file that describes a further reasoning parser (docs/adding-a-parser.md); may be repeated")
	f.Var(String(&m.ToolParser), "tool-call-parser", "", "how tool calls are told from content, such as hermes or qwen3-coder; auto: what the chat template shows; none: calls stay content (default: auto if that is certain)")
	f.Var(Optional(&m.ThinkingBudget, "tokens", 0, math.MaxInt32), "thinking-token-budget", "", "most tokens of thought of requests that say nothing (default: no bound)", "reasoning-budget")
	f.Var(Optional(&m.MaxThinking, "tokens", 0, math.MaxInt32), "max-thinking-tokens", "", "most tokens of thought of any request (default: no bound)")
	f.Var(Bool(&m.BreakLoops), "break-reasoning-loops", "", "end a thought that repeats itself")
	f.Hidden(Bool(&m.EnableReasoning), "enable-reasoning", "accepted for old command lines; =false switches the parser off")
	f.Var(Int(&m.Threads, "n", 1, MaxThreads), "threads", "t", "CPU threads (default: the cores that the process may use)")
	f.Var(Int(&m.MaxSeqs, "n", 1, 1<<16), "max-num-seqs", "", "choices computed in one step", "max-running-requests", "np", "parallel", "max-batch-size")
	f.Var(Int(&m.MaxBatchedTokens, "tokens", 1, MaxBatchedTokens), "max-num-batched-tokens", "b", "tokens computed in one step", "chunked-prefill-size", "batch-size")
	f.Var(Duration(&m.MaxPrefillStall), "max-prefill-stall", "", "most that others' prompts may delay the next token of an answer; at least 32 rows of them a step (default 100ms)")
	m.addSpeculation(f)
	f.Var(Bool(&m.PrefixCaching), "enable-prefix-caching", "", "reuse the KV pages of equal prompt beginnings")
	f.Hidden(Not(&m.PrefixCaching), "no-enable-prefix-caching", "the opposite of --enable-prefix-caching")
	f.aliases["disable-radix-cache"] = "no-enable-prefix-caching"
	f.Var(Size(&m.KVBytes), "kv-cache-memory-bytes", "", "memory for KV pages, such as 4GiB (default: chosen from what is free)", "kv-cache-memory")
	f.Var(Float(&m.GPUMemory, 0.01, 1), "gpu-memory-utilization", "", "share of a GPU's memory for weights, activations and KV pages together", "mem-fraction-static")
	f.Var(Bool(&m.BatchInvariant), "batch-invariant", "", "on a GPU, too: other sequences of a batch change no bit of a row, at some cost (the CPU always computes so)")
	f.Var(Int(&m.TensorParallel, "n", 1, 64), "tensor-parallel-size", "", "GPUs that share each layer, from --device on; more than one machine: --upstream to vLLM or SGLang", "tp", "tp-size")
	f.Var(Int(&m.DataParallel, "n", 1, 64), "data-parallel-size", "", "engines that each hold the whole model, one a GPU (or one a --tensor-parallel-size GPUs); on the CPU they divide --threads", "dp", "dp-size")
	f.Hidden(Bool(&m.CPURanks), "cpu-ranks", "--tensor-parallel-size on the CPU, where it is of no use but to try it")
	f.Var(String(&m.DownloadDir), "download-dir", "", "where downloads go (default: Hugging Face's cache folder)")
}

// AddFlags adds every flag of `reasond serve`.
func (s *Serve) AddFlags(f *Flags) {
	f.Var(String(&s.Host), "host", "", "address to listen on")
	f.Var(Int(&s.Port, "port", 0, 65535), "port", "", "port to listen on; 0: a free one, which is printed")
	f.Var(String(&s.UDS), "uds", "", "listen on a Unix socket at this path instead")
	f.Var(List(&s.APIKeys, "key"), "api-key", "", "key that requests must carry; may be repeated")
	f.Var(String(&s.APIKeyFile), "api-key-file", "", "file with one key a line")
	f.Var(List(&s.ServedNames, "name"), "served-model-name", "", "name in requests and answers; may be repeated", "alias")
	f.Var(Bool(&s.AnyModelName), "any-model-name", "", "answer whatever model name a request gives")
	s.Model.AddFlags(f)
	s.Reasoning.AddFlags(f)
	s.Upstream.AddFlags(f)
	f.Var(List(&s.Public, "path"), "public", "", "path that needs no key, such as /metrics; may be repeated")
	f.Var(List(&s.Hosts, "host"), "allowed-hosts", "", "host name that requests may give; may be repeated (default: loopback names where it listens on loopback, else any)")
	f.Var(Int(&s.MaxQueue, "n", 1, 1<<20), "max-queue", "", "requests that may wait; more are answered 429")
	f.Var(Duration(&s.DrainTimeout), "drain-timeout", "", "time that SIGTERM gives running answers")
	f.Var(Duration(&s.KeepAlive), "sse-keep-alive-interval", "", "a comment goes into a stream that is silent this long; 0: never")
	f.Var(Words(&s.MetricsCompat, "vllm", "sglang", "llamacpp", "llama.cpp=llamacpp"), "metrics-compat", "", "other servers under whose names /metrics has its figures besides, for their boards and gateways; may be repeated")
	f.Var(Choice(&s.LogLevel, "debug", "info", "warn", "error", "warning=warn", "trace=debug", "critical=error"), "log-level", "", "least important lines that are logged", "uvicorn-log-level")
	f.Var(Choice(&s.LogFormat, "auto", "text", "json"), "log-format", "", "auto: text on a terminal, else json")
	addNoEffect(f, &s.NoEffect)
}

// launcher is the word that LMDeploy's command lines have before the model.
const launcher = "api_server"

// Arguments takes the command's arguments: at most one model.
func (m *Model) Arguments(args []string) error {
	if len(args) > 0 && args[0] == launcher {
		args = args[1:]
	}
	switch {
	case len(args) > 1:
		return fmt.Errorf("one model at a time: %q and %q", args[0], args[1])
	case len(args) == 1 && m.Path != "" && m.Path != args[0]:
		return fmt.Errorf("two models: %q and --model %q", args[0], m.Path)
	case len(args) == 1 && args[0] == "":
		return errors.New("the model's name is empty")
	case len(args) == 1:
		m.Path = args[0]
	}
	return nil
}

// Validate checks what one flag's value cannot tell alone.
func (s *Serve) Validate() error {
	if s.UDS == "" && s.Host == "" {
		return errors.New("--host is empty (0.0.0.0 listens on every address)")
	}
	for _, path := range s.Public {
		if !strings.HasPrefix(path, "/") {
			return fmt.Errorf("--public %q: a path begins with /", path)
		}
	}
	return s.Upstream.validate(&s.Model)
}

// Address is what to listen on: a network and an address for net.Listen.
func (s *Serve) Address() (network, address string) {
	if s.UDS != "" {
		return "unix", s.UDS
	}
	return "tcp", net.JoinHostPort(strings.Trim(s.Host, "[]"), strconv.Itoa(s.Port))
}

// Keys are the keys of --api-key and of the key file, in which empty lines and
// lines that begin with # do not count.
func (s *Serve) Keys(readFile func(string) ([]byte, error)) ([]string, error) {
	keys := s.APIKeys
	if s.APIKeyFile == "" {
		return keys, nil
	}
	b, err := readFile(s.APIKeyFile)
	if err != nil {
		return nil, fmt.Errorf("--api-key-file: %w", err)
	}
	before := len(keys)
	lines := bufio.NewScanner(strings.NewReader(string(b)))
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			keys = append(keys, line)
		}
	}
	if len(keys) == before {
		return nil, fmt.Errorf("--api-key-file %s: no key in it", s.APIKeyFile)
	}
	return keys, lines.Err()
}
