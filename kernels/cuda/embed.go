package cuda

import "fmt"

// EmbedTable is a table of embeddings [Rows][Cols] in the elements of Elem. It
// holds the tokens from First on, see backend.VocabPart.
type EmbedTable struct {
	Ptr        Ptr
	Elem       Elem
	Rows, Cols int
	First      int
}

// Embed launches embed.cu: out[r] is the table's row of token r, zeros where
// the table does not hold it. A negative token is the last one sampled in its
// slot.
func Embed(b Batch, rows int, out Buffer, t EmbedTable) (Launch, error) {
	if err := firstError(checkRows("embed", rows), out.check("embed's out")); err != nil {
		return Launch{}, err
	}
	if t.Ptr == 0 || t.Ptr%16 != 0 || t.Cols != out.Cols || t.Rows < 1 || t.First < 0 {
		return Launch{}, fmt.Errorf("cuda: embed: a table of %d×%d from %d at %#x into %d columns", t.Rows, t.Cols, t.First, t.Ptr, out.Cols)
	}
	return Launch{
		Kernel: fmt.Sprintf("embed_%v_%v", t.Elem, out.Elem), Grid: grid1(rows), Block: block1(normThreads(out.Cols)),
		Args: []uint64{
			uint64(b.Header), uint64(b.Token), uint64(b.LastToken), uint64(out.Ptr), uint64(t.Ptr), Int(t.First), Int(t.Rows), Int(t.Cols),
		},
	}, nil
}
