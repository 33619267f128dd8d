package cuda

import "fmt"

// Latent is multi-head latent attention of one layer, see backend.LatentSpec.
// Pages is bf16 [page][PageTokens][Rank+RopeDim].
type Latent struct {
	Heads, Rank, NopeDim, RopeDim int
	Norm                          Ptr // float32 [Rank]
	NormEps                       float32
	Rope                          Rope
	Scale                         float32
	Pages                         Ptr
	// Partials is scratch of Planner.PartialBytes(Heads, Rank), a multiple of 16.
	Partials Ptr
}

func (l Latent) check(op string, rows int, q Buffer) error {
	if err := firstError(checkRows(op, rows), q.check(op+"'s q"), l.Rope.check(op, l.RopeDim)); err != nil {
		return err
	}
	switch {
	case l.Heads < 1 || l.Rank < 16 || l.Rank > maxRank || l.Rank%16 != 0 || l.RopeDim < 8 || l.RopeDim > 64 || l.RopeDim%8 != 0:
		return fmt.Errorf("cuda: %s: %d heads of rank %d and %d rotated; ranks are multiples of 16 up to %d, the rotated of 8 up to 64", op, l.Heads, l.Rank, l.RopeDim, maxRank)
	case q.Elem != ElemBF16 || q.Cols != l.Heads*(l.NopeDim+l.RopeDim) || l.NopeDim < 0 || l.NopeDim%8 != 0:
		return fmt.Errorf("cuda: %s: q rows of %d %v for %d heads of %d and %d", op, q.Cols, q.Elem, l.Heads, l.NopeDim, l.RopeDim)
	case l.Pages == 0 || l.Pages%16 != 0:
		return fmt.Errorf("cuda: %s: pages at %#x", op, l.Pages)
	}
	return nil
}

// Store launches store_latent.cu: it normalises the latents and rotates the tail
// of each kv row, bf16 [Rank|RopeDim], in place, writes the row to its page, and
// rotates the tails of q's heads, bf16 [Heads][NopeDim|RopeDim], in place.
func (l Latent) Store(b Batch, rows int, q, kv Buffer) (Launch, error) {
	const op = "store_latent"
	if err := firstError(l.check(op, rows, q), kv.check("store_latent's kv")); err != nil {
		return Launch{}, err
	}
	switch {
	case kv.Elem != ElemBF16 || kv.Cols != l.Rank+l.RopeDim:
		return Launch{}, fmt.Errorf("cuda: %s: kv rows of %d %v for %d and %d", op, kv.Cols, kv.Elem, l.Rank, l.RopeDim)
	case l.Norm == 0:
		return Launch{}, fmt.Errorf("cuda: %s: latents without a norm", op)
	}
	return Launch{
		Kernel: op, Grid: [3]uint32{uint32(rows), 2, 1}, Block: block1(128),
		Args: []uint64{
			uint64(b.Header), uint64(b.Pos), uint64(b.Seq), uint64(b.Seqs), uint64(b.Pages),
			uint64(q.Ptr), uint64(kv.Ptr), uint64(l.Pages), uint64(l.Norm), Float(l.NormEps),
			uint64(l.Rope.Cos), uint64(l.Rope.Sin), Int(l.Rope.Rotary), flag(l.Rope.Interleaved),
			Int(l.Heads), Int(l.Rank), Int(l.NopeDim), Int(l.RopeDim),
		},
	}, nil
}

// Launches is latent attention: head h's query is [absorbed's head h | q's tail],
// absorbed bf16 [rows][Heads*Rank], out bf16 [rows][Heads*Rank]. p is of
// NewLatentPlanner.
func (l Latent) Launches(b Batch, rows int, p *Planner, out, absorbed, q Buffer) ([]Launch, error) {
	const op = "latent_attention"
	if err := firstError(l.check(op, rows, q), out.check("latent_attention's out"), absorbed.check("latent_attention's absorbed")); err != nil {
		return nil, err
	}
	width := l.Heads * l.Rank
	switch {
	case out.Elem != ElemBF16 || absorbed.Elem != ElemBF16 || out.Cols != width || absorbed.Cols != width:
		return nil, fmt.Errorf("cuda: %s: %d %v columns into %d %v for %d heads of %d", op, absorbed.Cols, absorbed.Elem, out.Cols, out.Elem, l.Heads, l.Rank)
	case p.Group != l.Heads || p.Wide != 0:
		return nil, fmt.Errorf("cuda: %s: %d heads, work planned for %d", op, l.Heads, p.Group)
	case l.Partials == 0 || l.Partials%16 != 0:
		return nil, fmt.Errorf("cuda: %s: scratch at %#x", op, l.Partials)
	}
	w := p.Capacity(rows)
	return append([]Launch{{
		Kernel: op,
		Grid:   [3]uint32{uint32(w.Narrow), uint32(p.Blocks), 1}, Block: block1(latentWarps * 32),
		Shared: uint32(latentShared(l.Rank, l.RopeDim)),
		Args: []uint64{
			uint64(b.Header), uint64(b.Narrow), uint64(b.Pages),
			uint64(absorbed.Ptr), uint64(q.Ptr), uint64(l.Pages), uint64(out.Ptr), uint64(l.Partials), Int(p.Slots()),
			Int(l.Heads), Int(l.Rank), Int(l.NopeDim), Int(l.RopeDim), Float(l.Scale),
		},
	}}, combine(b, w, p, out, l.Partials, 0, l.Heads, l.Rank)...), nil
}

const (
	latentWarps = 4
	maxRank     = 512
)

// latentShared: 16 queries, two pages, 16 rows of weights for a page, and a float
// a warp and query.
func latentShared(rank, rope int) int {
	width := ceilDiv(rank+rope, 32) * 32
	return (16+2*PageTokens)*width*2 + 16*PageTokens*2 + latentWarps*16*4
}
