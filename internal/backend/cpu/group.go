package cpu

import (
	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/backend/ranks"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

// group is a rank's place among others of this process. Its step is several
// native calls, as the ranks meet between ops. It is the twin in memory of what
// GPUs do over NCCL; on one machine a single rank with all threads is faster.
type group struct {
	meeting  *ranks.Meeting
	rank     int
	segments []segment

	table   *linear // a divided embedding; nil: none
	tokens  []int32 // the batch's, while others stand in their place
	foreign []bool  // per row: another rank holds its token
}

// segment is ops up to end, then what is done in Go, nil behind the last.
type segment struct {
	end     int
	between func() error
}

// NewGroup makes n backends that are the ranks of one group, which divide the
// threads. Each is driven by its own goroutine, with the same batches, see
// package ranks.
func NewGroup(cfg backend.Config, n int) ([]*Backend, error) {
	meeting := ranks.NewMeeting(n)
	_, threads := Host()
	if cfg.Threads > 0 {
		threads = cfg.Threads
	}
	var all []*Backend
	for i := range n {
		part := cfg
		part.Threads = max(threads/n, 1)
		b, err := New(part)
		if err != nil {
			for _, b := range all {
				b.Close()
			}
			return nil, err
		}
		b.group = &group{meeting: meeting, rank: i}
		all = append(all, b)
	}
	return all, nil
}

// Abort implements ranks.Aborter.
func (b *Backend) Abort() {
	if b.group != nil {
		b.group.meeting.Abort()
	}
}

// between appends what is done in Go with the buffer x.
func (r *recorder) between(x backend.Buffer, do func() error) {
	r.add(recorded{Op: kernels.Op{Kind: -1}, out: x, x: x, between: do}, true)
}

// divide cuts a program into segments and returns the ops.
func (b *Backend) divide(recorded []recorded) []kernels.Op {
	var ops []kernels.Op
	for _, op := range recorded {
		if op.between == nil {
			ops = append(ops, op.Op)
		} else {
			b.group.segments = append(b.group.segments, segment{len(ops), op.between})
		}
	}
	if b.group != nil {
		b.group.segments = append(b.group.segments, segment{end: len(ops)})
	}
	return ops
}

func (b *Backend) forwardWithOthers() error {
	done := b.localTokens()
	defer done()
	from := 0
	for _, s := range b.group.segments {
		b.machine.ForwardOps(from, s.end)
		if s.between != nil {
			if err := s.between(); err != nil {
				return err
			}
		}
		from = s.end
	}
	return nil
}

// rows is how many rows the matrix has on all ranks together.
func (l *linear) rows() int { return max(l.vocab.Total, l.Out) }

// onlyOwn clears the embeddings of tokens that another rank holds: the ranks'
// sum, which follows, is the whole.
func (r *recorder) onlyOwn(o kernels.Buffer, out backend.Buffer, l *linear) {
	if l.rows() == l.Out {
		return
	}
	g := r.b.group
	g.table = l
	r.between(out, func() error {
		for row, foreign := range g.foreign {
			if foreign {
				clear(o.Data[row*o.LD:][:o.Cols])
			}
		}
		return nil
	})
}

// localTokens puts rows of this rank's part of the embedding in the place of the
// batch's tokens, until done is called. It notes which tokens others hold.
func (b *Backend) localTokens() (done func()) {
	g := b.group
	if g.table == nil {
		return func() {}
	}
	tokens := b.arrays.Token[:b.batch.Rows]
	g.tokens, g.foreign = append(g.tokens[:0], tokens...), g.foreign[:0]
	for i, id := range tokens {
		if id < 0 {
			id = b.slots.Last(^id)
		}
		id -= int32(g.table.vocab.First)
		own := id >= 0 && int(id) < g.table.Out
		g.foreign = append(g.foreign, !own)
		if tokens[i] = 0; own {
			tokens[i] = id
		}
	}
	return func() { copy(tokens, g.tokens) }
}

// allReduce replaces the rows of x on every rank by the sum over the ranks, in
// their order.
func (b *Backend) allReduce(x kernels.Buffer) error {
	rows := b.batch.Rows
	return b.group.meeting.Meet(b.group.rank, x, func(parts []any) {
		for row := range rows {
			for c := row * x.LD; c < row*x.LD+x.Cols; c++ {
				sum := 0.0
				for _, p := range parts {
					sum += float64(p.(kernels.Buffer).Data[c])
				}
				for _, p := range parts {
					p.(kernels.Buffer).Data[c] = float32(sum)
				}
			}
		}
	})
}

// columns is what a rank brings to gather: its own part of the logits, and where
// all of them go.
type columns struct {
	own, all kernels.Buffer
	first    int
}

// gather gives every rank all ranks' logits.
func (b *Backend) gather(own, all kernels.Buffer, first int) error {
	rows := len(b.batch.LogitRows)
	return b.group.meeting.Meet(b.group.rank, columns{own, all, first}, func(parts []any) {
		for _, p := range parts {
			from := p.(columns)
			for _, q := range parts {
				to := q.(columns).all
				for row := range rows {
					copy(to.Data[row*to.LD+from.first:], from.own.Data[row*from.own.LD:][:from.own.Cols])
				}
			}
		}
	})
}
