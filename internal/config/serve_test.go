package config

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// parse is what the serve command does with its arguments after "serve".
func parse(line string, env map[string]string) (*Serve, error) {
	s := DefaultServe()
	set := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	f := NewFlags(set)
	s.AddFlags(f)
	if err := set.Parse(Spell(strings.Fields(line))); err != nil {
		return nil, f.Explain(err)
	}
	get := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	if err := f.ApplyEnv(get); err != nil {
		return nil, err
	}
	if err := s.Model.Arguments(set.Args()); err != nil {
		return nil, err
	}
	return &s, s.Validate()
}

func mustParse(t *testing.T, line string, env map[string]string) *Serve {
	t.Helper()
	s, err := parse(line, env)
	if err != nil {
		t.Fatalf("serve %s: %v", line, err)
	}
	return s
}

// Command lines from other servers' documentation parse as they stand.
func TestOtherServersCommandLinesParse(t *testing.T) {
	for _, tc := range []struct {
		line string
		want func(*Serve) bool
	}{
		{"api_server M --reasoning-parser deepseek-r1", func(s *Serve) bool {
			return s.Model.Path == "M" && s.Model.Parser == "deepseek-r1"
		}},
		{"M --enable-reasoning --reasoning-parser deepseek_r1", func(s *Serve) bool {
			return s.Model.Path == "M" && s.Model.Parser == "deepseek_r1" && s.Model.EnableReasoning
		}},
		{"--model-path M --tp 1 --enable-reasoning --reasoning-parser deepseek-r1 --host 0.0.0.0 --log-level warning", func(s *Serve) bool {
			return s.Model.Path == "M" && s.Model.TensorParallel == 1 && s.Host == "0.0.0.0" && s.LogLevel == "warn"
		}},
		{"--model_dir M --reasoning_parser deepseek-v3 --tp 8", func(s *Serve) bool {
			return s.Model.Path == "M" && s.Model.Parser == "deepseek-v3" && s.Model.TensorParallel == 8
		}},
		{"M --dp_size 3 --cpu-ranks", func(s *Serve) bool {
			return s.Model.DataParallel == 3 && s.Model.TensorParallel == 1 && s.Model.CPURanks
		}},
		{"M -dp 2", func(s *Serve) bool { return s.Model.DataParallel == 2 }},
		{"M -tp 2 -np=3 -c 4096 -t 5", func(s *Serve) bool {
			return s.Model.TensorParallel == 2 && s.Model.MaxSeqs == 3 && s.Model.MaxModelLen == 4096 && s.Model.Threads == 5
		}},
		{"-m M --max_seq_len 77 --uvicorn-log-level error --no-enable-prefix-caching", func(s *Serve) bool {
			return s.Model.Path == "M" && s.Model.MaxModelLen == 77 && s.LogLevel == "error" && !s.Model.PrefixCaching
		}},
		{"-hf o/n:Q8_0 -b 77", func(s *Serve) bool { return s.Model.Path == "o/n:Q8_0" && s.Model.MaxBatchedTokens == 77 }},
		{"--hf_repo o/n --batch-size 78", func(s *Serve) bool { return s.Model.Path == "o/n" && s.Model.MaxBatchedTokens == 78 }},
		{"M --disable-radix-cache --chunked-prefill-size 128 --max_running_requests 9", func(s *Serve) bool {
			return !s.Model.PrefixCaching && s.Model.MaxBatchedTokens == 128 && s.Model.MaxSeqs == 9
		}},
		{"M --enable-prefix-caching=false --api-key a --api-key b,c --alias x --served_model_name y", func(s *Serve) bool {
			return !s.Model.PrefixCaching && strings.Join(s.APIKeys, " ") == "a b,c" && strings.Join(s.ServedNames, " ") == "x y"
		}},
		{"M --kv-cache-memory-bytes 1.5GiB --drain-timeout 5 --sse-keep-alive-interval 250ms --uds /tmp/s", func(s *Serve) bool {
			network, address := s.Address()
			return s.Model.KVBytes == 3<<29 && s.DrainTimeout == 5*time.Second && s.KeepAlive == 250*time.Millisecond &&
				network == "unix" && address == "/tmp/s"
		}},
		{"M --metrics-compat vllm,llama.cpp --metrics_compat sglang --metrics-compat vllm", func(s *Serve) bool {
			return strings.Join(s.MetricsCompat, " ") == "vllm llamacpp sglang"
		}},
		{"M --speculative-algorithm NGRAM --speculative-num-draft-tokens 5 --max-prefill-stall 50ms", func(s *Serve) bool {
			return s.Model.Speculative == "ngram" && s.Model.DraftTokens == 5 && s.Model.MaxPrefillStall == 50*time.Millisecond
		}},
		{"M --draft-max 16 --spec-type none", func(s *Serve) bool { return s.Model.Speculative == "off" && s.Model.DraftTokens == 16 }},
		{`M --speculative_config {"method":"ngram","num_speculative_tokens":3,"prompt_lookup_max":4}`, func(s *Serve) bool {
			return s.Model.Speculative == "ngram" && s.Model.DraftTokens == 3
		}},
		{"M", func(s *Serve) bool {
			return s.Model.Speculative == "auto" && s.Model.DraftTokens == 8 && s.Model.DraftModel == ""
		}},
		{"M --draft-model D", func(s *Serve) bool { return s.Model.DraftModel == "D" }},
		{"M -md ./d.gguf --draft 4", func(s *Serve) bool { return s.Model.DraftModel == "./d.gguf" && s.Model.DraftTokens == 4 }},
		{"M --speculative-algorithm STANDALONE --speculative-draft-model-path o/n", func(s *Serve) bool {
			return s.Model.Speculative == "auto" && s.Model.DraftModel == "o/n"
		}},
		{`M --speculative-config {"method":"draft_model","model":"o/n","num_speculative_tokens":3}`, func(s *Serve) bool {
			return s.Model.Speculative == "auto" && s.Model.DraftModel == "o/n" && s.Model.DraftTokens == 3
		}},
		{`--host ::1 --port 0 --default-chat-template-kwargs {"enable_thinking":false}`, func(s *Serve) bool {
			_, address := s.Address()
			return s.Model.Path == "" && address == "[::1]:0" && string(s.Model.TemplateKwargs["enable_thinking"]) == "false"
		}},
	} {
		if s := mustParse(t, tc.line, nil); !tc.want(s) {
			t.Errorf("serve %s: %+v", tc.line, s)
		}
	}
}

func TestAFlagWinsOverAVariableAndAVariableOverTheDefault(t *testing.T) {
	env := map[string]string{
		"REASOND_PORT": "9001", "REASOND_HOST": "0.0.0.0", "REASOND_API_KEY": "a, b",
		"REASOND_MODEL": "from-env", "REASOND_MAX_MODEL_LEN": "", "REASOND_ANY_MODEL_NAME": "true",
	}
	s := mustParse(t, "--port 9002", env)
	if s.Port != 9002 || s.Host != "0.0.0.0" || strings.Join(s.APIKeys, "|") != "a|b" ||
		s.Model.Path != "from-env" || s.Model.MaxModelLen != 0 || !s.AnyModelName {
		t.Errorf("%+v", s)
	}
	if s := mustParse(t, "M --alias x", map[string]string{"REASOND_SERVED_MODEL_NAME": "y"}); strings.Join(s.ServedNames, "|") != "x" {
		t.Errorf("an alias on the command line does not win over the variable: %q", s.ServedNames)
	}
}

func TestEveryFlagHasItsVariable(t *testing.T) {
	s := DefaultServe()
	set := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	f := NewFlags(set)
	s.AddFlags(f)
	asked := map[string]bool{}
	if err := f.ApplyEnv(func(name string) (string, bool) { asked[name] = true; return "", false }); err != nil {
		t.Fatal(err)
	}
	n := 0
	set.VisitAll(func(flag *pflag.Flag) {
		n++
		if !asked[Variable(flag.Name)] {
			t.Errorf("--%s: %s is not read", flag.Name, Variable(flag.Name))
		}
	})
	if n < 25 {
		t.Errorf("only %d flags", n)
	}
	for alias, name := range f.aliases {
		if set.Lookup(name) == nil || strings.Contains(alias, "_") || set.Lookup(alias).Name != name {
			t.Errorf("alias %q stands for no flag: %q", alias, name)
		}
	}
}

func TestErrorsNameTheFlagAndTheVariable(t *testing.T) {
	for _, tc := range []struct {
		line string
		env  map[string]string
		want string
	}{
		{"M --port abc", nil, `--port "abc": not a whole number (REASOND_PORT sets it too)`},
		{"M --port 65536", nil, `--port "65536": must be from 0 to 65535 (REASOND_PORT sets it too)`},
		{"M --threads 1025", nil, `--threads "1025": must be from 1 to 1024 (REASOND_THREADS sets it too)`},
		{"M -b 65537", nil, `--max-num-batched-tokens "65537": must be from 1 to 65536 (REASOND_MAX_NUM_BATCHED_TOKENS sets it too)`},
		{"M --max_model_len 0", nil, `--max-model-len "0": must be from 1 to 2147483647 (REASOND_MAX_MODEL_LEN sets it too)`},
		{"M --dtype int8", nil, `--dtype "int8": must be one of auto, float32, bfloat16 (REASOND_DTYPE sets it too)`},
		{"M --chat-template-kwargs []", nil, `--default-chat-template-kwargs "[]": not a JSON object such as {"enable_thinking": false} (REASOND_DEFAULT_CHAT_TEMPLATE_KWARGS sets it too)`},
		{"M --kv-cache-memory-bytes 4X", nil, `--kv-cache-memory-bytes "4X": not a size such as 4GiB, 512M or a number of bytes (REASOND_KV_CACHE_MEMORY_BYTES sets it too)`},
		{"M --drain-timeout -1s", nil, `--drain-timeout "-1s": not a time such as 30s, 2m or a number of seconds (REASOND_DRAIN_TIMEOUT sets it too)`},
		{"M --metrics-compat vllm,tgi", nil, `--metrics-compat "vllm,tgi": must be one of vllm, sglang, llamacpp (REASOND_METRICS_COMPAT sets it too)`},
		{"M", map[string]string{"REASOND_PORT": "x"}, `REASOND_PORT="x": not a whole number (it sets --port)`},
		{"M", map[string]string{"REASOND_ANY_MODEL_NAME": "maybe"}, `REASOND_ANY_MODEL_NAME="maybe": neither true nor false (it sets --any-model-name)`},
		{"M --reasonin-parser x", nil, "unknown flag --reasonin-parser (did you mean --reasoning-parser?)"},
		{"M --max_sequ_len 3", nil, "unknown flag --max_sequ_len (did you mean --max-seq-len?)"},
		{"M --frobnicate", nil, "unknown flag --frobnicate"},
		{"M N", nil, `one model at a time: "M" and "N"`},
		{"M --model N", nil, `two models: "M" and --model "N"`},
		{"M --public metrics", nil, `--public "metrics": a path begins with /`},
	} {
		_, err := parse(tc.line, tc.env)
		if err == nil || err.Error() != tc.want {
			t.Errorf("serve %s %v:\n got %v\nwant %s", tc.line, tc.env, err, tc.want)
		}
	}
}

func TestKeysComeFromFlagsAndFile(t *testing.T) {
	s := mustParse(t, "M --api-key a --api-key-file keys", nil)
	keys, err := s.Keys(func(string) ([]byte, error) { return []byte("# staff\n b \r\n\nc"), nil })
	if err != nil || strings.Join(keys, "|") != "a|b|c" {
		t.Errorf("%q, %v", keys, err)
	}
	if _, err := s.Keys(func(string) ([]byte, error) { return []byte("#\n"), nil }); err == nil {
		t.Error("a file without a key must not open the server to everybody")
	}
	if _, err := s.Keys(func(string) ([]byte, error) { return nil, errors.New("gone") }); err == nil {
		t.Error("no error for a file that cannot be read")
	}
}

func TestSizesAreWholeBytes(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "17": 17, "1k": 1024, "1KB": 1000, "2 MiB": 2 << 20, "0.5g": 1 << 29} {
		n := int64(-1)
		if err := Size(&n).Set(in); err != nil || n != want {
			t.Errorf("%q: %d, %v", in, n, err)
		}
	}
	for _, in := range []string{"", "k", "-1", "nan", "inf", "1e30", "1kk", "0x10 z"} {
		n := int64(math.MinInt64)
		if err := Size(&n).Set(in); err == nil {
			t.Errorf("%q: %d", in, n)
		}
	}
}
