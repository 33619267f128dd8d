package bundle

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/cgroup"
	"github.com/reasond/reasond/internal/model"
)

// fullContexts is how many choices of the longest context the default KV cache
// holds, memory permitting: most choices are far shorter.
const fullContexts = 16

// sizes turns limits and free memory (bytes; 0: not known) into the backend's
// configuration.
//
//  1. A context is as long as the model was made for, or as asked.
//  2. KV memory is what was asked, else what fullContexts need, but at most
//     half of what the weights leave free.
//  3. Where one whole context does not fit, a default context shrinks to what
//     does; one that was asked for is an error.
func sizes(cfg Config, arch *model.Config, weightBytes, free int64) (backend.Config, error) {
	const page = backend.PageTokens
	context, err := wantedContext(cfg, arch) // 1
	if err != nil {
		return backend.Config{}, err
	}
	pages := (context + page - 1) / page
	beside, draftPage := cfg.drafting.bytes()
	pageBytes := pageBytes(cfg, arch) + draftPage
	weightBytes += beside
	want := int64(pages) * int64(min(cfg.MaxSeqs, fullContexts)) // 2
	switch {
	case cfg.KVBytes > 0:
		want = cfg.KVBytes / pageBytes
	case free > 0:
		want = min(want, max(free-weightBytes, 0)/2/pageBytes)
	}
	if want < int64(pages) { // 3
		if cfg.MaxModelLen > 0 || want < 1 {
			return backend.Config{}, fmt.Errorf("a context of %d tokens needs %s of KV cache, there is room for %s (see --max-model-len, --kv-cache-memory-bytes)",
				context, mib(int64(pages)*pageBytes), mib(want*pageBytes))
		}
		pages = int(want)
	}
	return backend.Config{
		Float32: cfg.Float32, MaxRows: cfg.MaxBatchedTokens, MaxSeqs: cfg.MaxSeqs,
		MaxContext: pages * page, Pages: int(want), Threads: cfg.Threads,
	}, nil
}

// pageBytes is what a page of keys and values takes on the CPU, which holds latents
// twice, as keys and as values.
func pageBytes(cfg Config, arch *model.Config) int64 {
	element := 2
	if cfg.Float32 {
		element = 4
	}
	return backend.PageTokens * (arch.KVBytesPerToken(element) + int64(arch.Layers)*int64(arch.Latent.Rank*element))
}

// wantedContext is the context that was asked for, or the model's own.
func wantedContext(cfg Config, arch *model.Config) (int, error) {
	own := arch.MaxContext()
	if cfg.MaxModelLen > own {
		return 0, fmt.Errorf("max-model-len is %d, the model was made for at most %d tokens", cfg.MaxModelLen, own)
	}
	if cfg.MaxModelLen > 0 {
		return cfg.MaxModelLen, nil
	}
	return own, nil
}

// gpuSizes is sizes for a GPU of which room bytes may be used. How many pages
// there are the backend decides when it knows what is left (Pages is 0), unless
// they were asked for. A default context shrinks to what will fit by the look of
// it.
func gpuSizes(cfg Config, arch *model.Config, weightBytes, room int64) (backend.Config, error) {
	const page = backend.PageTokens
	context, err := wantedContext(cfg, arch)
	if err != nil {
		return backend.Config{}, err
	}
	pages := (context + page - 1) / page
	pageBytes := page * arch.KVBytesPerToken(2)
	out := backend.Config{Float32: cfg.Float32, MaxRows: cfg.MaxBatchedTokens, MaxSeqs: cfg.MaxSeqs, MaxLogits: cfg.MaxSeqs}
	working := workingBytes(cfg, arch)
	fits := max(room-weightBytes-working, 0) / pageBytes
	if cfg.KVBytes > 0 {
		fits = cfg.KVBytes / pageBytes
		out.Pages = int(fits)
	}
	if fits < int64(pages) {
		if cfg.MaxModelLen > 0 || fits < 1 {
			return backend.Config{}, fmt.Errorf("the GPU has room for %s: weights take %s, activations about %s, the KV cache of one context of %d tokens %s (see --max-model-len, --max-num-batched-tokens, --gpu-memory-utilization, --kv-cache-memory-bytes)",
				mib(room), mib(weightBytes), mib(working), context, mib(int64(pages)*pageBytes))
		}
		pages = int(fits)
	}
	out.MaxContext = pages * page
	return out, nil
}

// workingBytes estimates what a GPU needs beside weights and pages: activations
// of every row, logits, attention's partial results, libraries.
func workingBytes(cfg Config, arch *model.Config) int64 {
	row := 8*int64(arch.Hidden) + 2*int64(arch.Heads+2*arch.KVHeads)*int64(arch.HeadDim) + 6*int64(arch.Intermediate)
	return int64(cfg.MaxBatchedTokens)*row + 4*int64(cfg.MaxSeqs)*int64(arch.Vocab) + 192<<20
}

// contextOf is the context that requests may use: the backend's is rounded up to
// whole pages.
func contextOf(cfg Config, arch *model.Config, size backend.Config) int {
	if cfg.MaxModelLen > 0 {
		return cfg.MaxModelLen
	}
	return min(arch.MaxContext(), size.MaxContext)
}

func mib(n int64) string { return strconv.FormatInt((n+1<<20-1)>>20, 10) + " MiB" }

// availableMemory is what a program may still use, bytes, by the system and by
// the limits of its control groups. 0: not known.
func availableMemory() int64 {
	free := memInfo()
	if left, limited := cgroup.Memory(); limited && (free == 0 || left < free) {
		free = max(left, 1)
	}
	return free
}

func memInfo() int64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == "MemAvailable:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}
