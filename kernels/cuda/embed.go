package cuda

import "fmt"

// Embed launches embed.cu, once for each part of the table: out[r] is the row of
// token r, zeros where the table does not hold it. first is the token of the
// table's first row, see backend.VocabPart. A negative token is the last one
// sampled in its slot, b.LastToken.
func Embed(b Batch, rows int, out Buffer, table Weights, first int) ([]Launch, error) {
	if err := firstError(checkRows("embed", rows), out.check("embed's out")); err != nil {
		return nil, err
	}
	if table.Ptr == 0 || table.Count != 1 || table.Gated || table.In != out.Cols || first < 0 || len(table.Parts) == 0 {
		return nil, fmt.Errorf("cuda: embed: %d tables of %d×%d from token %d at %#x into %d columns", table.Count, table.Out, table.In, first, table.Ptr, out.Cols)
	}
	launches := make([]Launch, len(table.Parts))
	for i, p := range table.Parts {
		var side Ptr
		if formats[p.Format].side != 0 {
			side = table.Ptr + Ptr(p.Side)
		}
		whole := 0
		if i == 0 {
			whole = table.Out
		}
		launches[i] = Launch{
			Kernel: fmt.Sprintf("embed_%v_%v", p.Format, out.Elem), Grid: grid1(rows), Block: block1(normThreads(out.Cols)),
			Args: []uint64{
				uint64(b.Header), uint64(b.Token), uint64(b.LastToken), uint64(out.Ptr),
				uint64(table.Ptr) + uint64(p.Offset), uint64(side), Int(p.SideShift), Int(p.SideStride), Int(p.Rows), Int(table.In),
				Int(first + p.First), Int(first), Int(whole),
			},
		}
	}
	return launches, nil
}
