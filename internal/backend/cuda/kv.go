//go:build cuda && cgo && linux

package cuda

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/reasond/reasond/internal/backend"
	driver "github.com/reasond/reasond/internal/cuda"
	kernels "github.com/reasond/reasond/kernels/cuda"
)

// kvCache is the pages of all layers. A plane is one layer's keys, values or
// latents: bf16 [Pages][KVHeads][PageTokens][HeadDim], or [Pages][PageTokens][Width].
type kvCache struct {
	layers     int
	heads, dim int // of keys and values; 0: latents
	width      int // of latents; 0: keys and values

	planes []kernels.Ptr // of layer i: 2i and 2i+1, or i
	table  kernels.Ptr   // the planes' addresses on the device
}

// NewKV implements backend.Backend. Build allocates the pages.
func (b *Backend) NewKV(layers, kvHeads, headDim int) error {
	if layers < 1 || kvHeads < 1 || headDim < 1 || headDim%8 != 0 {
		return fmt.Errorf("cuda: KV of %d layers, %d heads of %d; a head is a multiple of 8", layers, kvHeads, headDim)
	}
	return b.setKV(kvCache{layers: layers, heads: kvHeads, dim: headDim})
}

// NewLatentKV implements backend.Backend. Build allocates the pages.
func (b *Backend) NewLatentKV(layers, width int) error {
	if layers < 1 || width < 1 || width%8 != 0 {
		return fmt.Errorf("cuda: KV of %d layers of latents of %d; a vector is a multiple of 8", layers, width)
	}
	return b.setKV(kvCache{layers: layers, width: width})
}

func (b *Backend) setKV(kv kvCache) error {
	if b.kv.layers > 0 {
		return errors.New("cuda: a model has one kind of KV pages")
	}
	b.kv = kv
	return nil
}

// count is the number of planes.
func (k *kvCache) count() int {
	if k.width > 0 {
		return k.layers
	}
	return 2 * k.layers
}

// pageBytes is a page's size in one plane.
func (k *kvCache) pageBytes() int64 {
	return 2 * backend.PageTokens * int64(max(k.heads*k.dim, k.width))
}

// bytes is the size of n pages in all planes.
func (k *kvCache) bytes(n int) int64 { return int64(n) * int64(k.count()) * k.pageBytes() }

func (k *kvCache) layer(i int) kernels.KV {
	return kernels.KV{K: k.planes[2*i], V: k.planes[2*i+1], KVHeads: k.heads, HeadDim: k.dim}
}

func (k *kvCache) latents(i int) kernels.Ptr { return k.planes[i] }

// pretend gives the planes an address that nobody reads or writes, for launches
// of a step without rows.
func (k *kvCache) pretend(p kernels.Ptr) {
	k.planes = make([]kernels.Ptr, k.count())
	for i := range k.planes {
		k.planes[i] = p
	}
}

// allocate makes the pages, each plane by itself.
func (b *Backend) allocateKV() error {
	k := &b.kv
	table := make([]byte, 0, 8*k.count())
	for i := range k.planes {
		p, err := b.mem.alloc(kvMemory, int64(b.cfg.Pages)*k.pageBytes())
		if err != nil {
			return err
		}
		k.planes[i] = p
		table = binary.LittleEndian.AppendUint64(table, uint64(p))
	}
	var err error
	k.table, err = b.mem.upload(kvMemory, table)
	return err
}

// share decides how many pages there are where Config.Pages left it open: what
// the device's share of memory has left now that weights, activations and the
// kernels' own memory are there. One sequence of MaxContext must fit.
func (b *Backend) share() error {
	if b.cfg.Pages > 0 {
		return nil
	}
	free, total, err := b.mem.dev.MemInfo()
	if err != nil {
		return lost(err)
	}
	room := free - int64(float64(total)*(1-b.opt.Memory)) - graphReserve
	pages, context := room/b.kv.bytes(1), b.cfg.MaxContext/backend.PageTokens
	if pages < int64(context) {
		return fmt.Errorf("cuda: the model does not fit: weights %s, activations %s, KV pages of one context of %d tokens %s; the device's memory is %s, %s of it free, and %.0f %% may be used (see --max-model-len, --max-num-batched-tokens, --gpu-memory-utilization)",
			mib(b.mem.used[weightMemory]), mib(b.mem.used[activationMemory]), b.cfg.MaxContext, mib(b.kv.bytes(context)), mib(total), mib(free), 100*b.opt.Memory)
	}
	b.cfg.Pages = int(min(pages, maxPages, int64(b.cfg.MaxTable())))
	return nil
}

const (
	maxPages = 1 << 28
	// graphReserve is memory left to the driver for graphs and what else it makes.
	graphReserve = 64 << 20
)

// lost adds backend.ErrLost to the chain of an error after which the device is.
func lost(err error) error {
	if err != nil && driver.Sticky(err) && !errors.Is(err, backend.ErrLost) {
		return fmt.Errorf("cuda: %w: %w", backend.ErrLost, err)
	}
	return err
}
