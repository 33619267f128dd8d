package reference

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/reasond/reasond/internal/backend"
)

// program records ops. The first op whose shapes do not fit makes Build fail.
type program struct {
	b   *Backend
	ops []func()
	err error
}

func (p *program) add(op string, ok bool, run func()) {
	if !ok && p.err == nil {
		p.err = fmt.Errorf("reference: op %d, %s: shapes do not fit", len(p.ops), op)
	}
	p.ops = append(p.ops, run)
}

// Embed implements backend.Program. Tokens were checked against the table.
func (p *program) Embed(out backend.Buffer, table backend.Linear) {
	b := p.b
	o, t := b.buffers[out], b.linears[table]
	b.tokens = t.vocab.Total
	p.add("Embed", o.cols == t.in, func() {
		for r := range b.batch.Rows {
			if at := b.token(r) - t.vocab.First; at >= 0 && at < t.out {
				copy(o.row(r), t.weight[at*t.in:])
			} else {
				clear(o.row(r)) // another rank's token
			}
		}
	})
}

// token is the id of row r, looked up where it was sampled by a step before.
func (b *Backend) token(r int) int {
	id := b.batch.Token[r]
	if id < 0 {
		id = b.slots.Last(^id)
	}
	return int(id)
}

// RMSNorm implements backend.Program.
func (p *program) RMSNorm(out, x backend.Buffer, w backend.Vector, eps float32) {
	b := p.b
	o, in, weight := b.buffers[out], b.buffers[x], b.vectors[w]
	p.add("RMSNorm", o.cols == in.cols && len(weight) == in.cols, func() {
		for r := range b.batch.Rows {
			rmsNorm(o.row(r), in.row(r), weight, eps)
		}
	})
}

// rmsNorm: out = x / sqrt(mean(x^2)+eps) * w. out may be x.
func rmsNorm(out, x, w []float32, eps float32) {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	scale := 1 / math.Sqrt(sum/float64(len(x))+float64(eps))
	for i, v := range x {
		out[i] = float32(float64(v)*scale) * w[i]
	}
}

// Linear implements backend.Program.
func (p *program) Linear(out, x backend.Buffer, w backend.Linear, add bool) {
	b := p.b
	o, in, l := b.buffers[out], b.buffers[x], b.linears[w]
	p.add("Linear "+l.name, in.cols == l.in && o.cols == l.out && !l.gated && out != x, func() {
		b.matmul(in, l, b.batch.Rows, func(r, n int, sum float64) {
			if l.bias != nil {
				sum += float64(l.bias[n])
			}
			if add {
				o.data[r*o.cols+n] += float32(sum)
			} else {
				o.data[r*o.cols+n] = float32(sum)
			}
		})
	})
}

// GatedMLP implements backend.Program.
func (p *program) GatedMLP(out, x backend.Buffer, w backend.Linear) {
	b := p.b
	o, in, l := b.buffers[out], b.buffers[x], b.linears[w]
	half := l.out / 2
	var both buffer
	if l.gated {
		both = buffer{l.out, make([]float32, b.cfg.MaxRows*l.out)}
	}
	p.add("GatedMLP "+l.name, in.cols == l.in && o.cols == half && l.gated && out != x, func() {
		b.matmul(in, l, b.batch.Rows, func(r, n int, sum float64) {
			if l.bias != nil {
				sum += float64(l.bias[n])
			}
			both.data[r*l.out+n] = float32(sum)
		})
		for r := range b.batch.Rows {
			gate, up, dst := both.row(r)[:half], both.row(r)[half:], o.row(r)
			for i, g := range gate {
				dst[i] = float32(silu(float64(g)) * float64(up[i]))
			}
		}
	})
}

func silu(x float64) float64 { return x / (1 + math.Exp(-x)) }

// StoreKV implements backend.Program.
func (p *program) StoreKV(qkv backend.Buffer, layer int, a backend.AttentionSpec) {
	b := p.b
	in := b.buffers[qkv]
	p.add("StoreKV", p.fits(in, layer, a), func() {
		for r := range b.batch.Rows {
			b.storeKV(in.row(r), layer, a, r)
		}
	})
}

func (p *program) fits(in buffer, layer int, a backend.AttentionSpec) bool {
	b := p.b
	norm := func(v backend.Vector) bool { return v == backend.NoVector || len(b.vectors[v]) == a.HeadDim }
	return in.cols == (a.Heads+2*a.KVHeads)*a.HeadDim && layer >= 0 && layer < b.kv.layers &&
		a.KVHeads == b.kv.heads && a.HeadDim == b.kv.dim && a.KVHeads > 0 && a.Heads%a.KVHeads == 0 &&
		2*b.ropes[a.Rope].pairs <= a.HeadDim && norm(a.QNorm) && norm(a.KNorm) && (a.Sinks == backend.NoVector || len(b.vectors[a.Sinks]) == a.Heads)
}

// Attention implements backend.Program.
func (p *program) Attention(out, qkv backend.Buffer, layer int, a backend.AttentionSpec) {
	b := p.b
	o, in := b.buffers[out], b.buffers[qkv]
	p.add("Attention", p.fits(in, layer, a) && o.cols == a.Heads*a.HeadDim, func() {
		b.parallel(b.batch.Rows, func(from, to int) {
			for r := from; r < to; r++ {
				b.attend(o.row(r), in.row(r), layer, a, r)
			}
		})
	})
}

// Logits implements backend.Program.
func (p *program) Logits(x backend.Buffer, w backend.Vector, eps float32, head backend.Linear) {
	b := p.b
	in, weight, l := b.buffers[x], b.vectors[w], b.linears[head]
	if b.vocab != 0 && p.err == nil {
		p.err = errors.New("reference: a program has one Logits op")
	}
	b.vocab = l.vocab.Total
	normed := buffer{cols: in.cols}
	p.add("Logits", in.cols == l.in && len(weight) == in.cols && !l.gated && (b.vocab == l.out || b.group != nil), func() {
		rows := b.batch.LogitRows
		normed.data = grow(normed.data, len(rows)*in.cols)
		b.logits = grow(b.logits, len(rows)*b.vocab)
		for i, r := range rows {
			rmsNorm(normed.row(i), in.row(int(r)), weight, eps)
		}
		b.matmul(normed, l, len(rows), func(r, n int, sum float64) {
			if l.bias != nil {
				sum += float64(l.bias[n])
			}
			b.logits[r*b.vocab+l.vocab.First+n] = float32(sum)
		})
		if b.vocab != l.out {
			b.gather(columns{b.logits, b.vocab, l.vocab.First, l.out})
		}
	})
}

// AllReduce implements backend.Program: nothing unless NewGroup made the backend.
func (p *program) AllReduce(x backend.Buffer) {
	b := p.b
	if b.group == nil {
		return
	}
	in := b.buffers[x]
	p.add("AllReduce", true, func() { b.allReduce(in.data[:b.batch.Rows*in.cols]) })
}

func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}

// parallel divides 0..n among the threads.
func (b *Backend) parallel(n int, run func(from, to int)) {
	threads := min(b.cfg.Threads, n)
	if threads <= 1 {
		run(0, n)
		return
	}
	var wait sync.WaitGroup
	for i := range threads {
		wait.Go(func() { run(n*i/threads, n*(i+1)/threads) })
	}
	wait.Wait()
}
