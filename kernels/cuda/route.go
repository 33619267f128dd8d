package cuda

import "fmt"

// Scoring is how a router's logits become choice and weights, in the order of
// backend.Scoring.
const (
	SoftmaxThenTopK = iota
	TopKThenSoftmax
	SigmoidTopK
)

// Router is backend.RouterSpec with the correction's address: float32 [experts],
// or 0.
type Router struct {
	Scoring           int
	Normalize         bool
	Scale             float32
	Correction        Ptr
	Groups, TopGroups int
}

// Routing is the experts chosen for each row: ids int32 [rows][TopK] and weights
// float32 [rows][TopK], in falling order of what they were chosen by.
type Routing struct {
	IDs, Weights  Ptr
	Experts, TopK int
}

// Most experts, experts a row, and groups that the kernels take.
const (
	MaxExperts = 512
	MaxTopK    = 16
	MaxGroups  = 32
)

func (r Routing) check(op string) error {
	if r.IDs == 0 || r.Weights == 0 || r.Experts < 1 || r.Experts > MaxExperts || r.TopK < 1 || r.TopK > MaxTopK || r.TopK > r.Experts {
		return fmt.Errorf("cuda: %s: %d of %d experts, at most %d of %d", op, r.TopK, r.Experts, MaxTopK, MaxExperts)
	}
	return nil
}

// Route launches route.cu: a row's experts and their weights from its logits, a
// float32 buffer of a column an expert. Ties go to the lower expert.
func Route(b Batch, rows int, out Routing, logits Buffer, r Router) (Launch, error) {
	if err := firstError(checkRows("route", rows), logits.check("route's logits"), out.check("route")); err != nil {
		return Launch{}, err
	}
	switch {
	case logits.Elem != ElemF32 || logits.Cols != out.Experts:
		return Launch{}, fmt.Errorf("cuda: route: %d experts from %d columns of %v", out.Experts, logits.Cols, logits.Elem)
	case r.Scoring < SoftmaxThenTopK || r.Scoring > SigmoidTopK:
		return Launch{}, fmt.Errorf("cuda: route: scoring %d", r.Scoring)
	case r.Groups > 0 && (r.Groups > MaxGroups || out.Experts%r.Groups != 0 || r.TopGroups < 1 || r.TopGroups > r.Groups ||
		r.TopGroups*(out.Experts/r.Groups) < out.TopK):
		return Launch{}, fmt.Errorf("cuda: route: %d of %d experts in %d of %d groups", out.TopK, out.Experts, r.TopGroups, r.Groups)
	}
	normalize := 0
	if r.Normalize {
		normalize = 1
	}
	return Launch{
		Kernel: "route", Grid: grid1(ceilDiv(rows, routeWarps)), Block: block1(routeWarps * 32),
		Args: []uint64{
			uint64(b.Header), uint64(out.IDs), uint64(out.Weights), uint64(logits.Ptr), Int(out.Experts), Int(out.TopK),
			Int(r.Scoring), Int(normalize), Float(r.Scale), uint64(r.Correction), Int(r.Groups), Int(r.TopGroups),
		},
	}, nil
}

// routeWarps is the rows of a block of route.cu, a warp each.
const routeWarps = 4
