package cuda

import "fmt"

// Elem is the type of a buffer's elements on the device.
type Elem uint8

// What activations are made of.
const (
	ElemBF16 Elem = iota
	ElemF32
)

// Size is an element's bytes.
func (e Elem) Size() int {
	if e == ElemF32 {
		return 4
	}
	return 2
}

func (e Elem) String() string {
	if e == ElemF32 {
		return "f32"
	}
	return "bf16"
}

// Buffer is a row-major matrix [rows][Cols] in device memory; its address is a
// multiple of 16.
type Buffer struct {
	Ptr  Ptr
	Elem Elem
	Cols int
}

func (b Buffer) check(name string) error {
	if b.Ptr == 0 || b.Ptr%16 != 0 || b.Cols <= 0 || b.Elem > ElemF32 {
		return fmt.Errorf("cuda: %s is a buffer at %#x of %d columns", name, b.Ptr, b.Cols)
	}
	return nil
}

// Words of the batch's header: what a step has of everything. Kernels' grids are
// sized for the bucket of rows; what lies behind these counts is left alone.
const (
	HeaderRows    = 0 // token rows
	HeaderSeqs    = 1
	HeaderLogits  = 2 // wanted rows
	HeaderSamples = 3
	HeaderCopies  = 4
	HeaderPages   = 5 // entries of the page tables
	HeaderNarrow  = 6 // attention's work, see Planner
	HeaderWide    = 7
	HeaderMerges  = 8

	HeaderWords = 16
)

// SeqWords is the ints of a sequence in Batch.Seqs: slot, first row, count of
// rows, length after the step, its table's first entry in Batch.Pages.
const SeqWords = 5

// PageTokens is how many tokens a KV page holds, as backend.PageTokens.
const PageTokens = 32

// Batch is where the arrays of the batch's arena lie on the device, all int32
// but Masks. One copy fills them before a step.
type Batch struct {
	Header    Ptr // [HeaderWords]
	Token     Ptr // [MaxRows]; negative: the last token of slot ^token, in LastToken
	Pos       Ptr // [MaxRows] position in the sequence
	Seq       Ptr // [MaxRows] index into Seqs
	Seqs      Ptr // [MaxSeqs][SeqWords]
	Pages     Ptr // the sequences' page tables, one behind the other
	Copies    Ptr // [][2] source and target page
	LogitRows Ptr // [MaxRows] rows whose logits are wanted
	Samples   Ptr // [MaxSeqs][4] slot, logits row, position, masked
	Masks     Ptr // [MaxSeqs][MaskWords] uint32

	Narrow Ptr // [][ItemWords] attention's work, see Planner
	Wide   Ptr // [][ItemWords]
	Merges Ptr // [][MergeWords]

	LastToken Ptr // [MaxSeqs] by slot, written by the sampler; not of the arena
}

// ceilDiv is a/b rounded up.
func ceilDiv(a, b int) int { return (a + b - 1) / b }

// grid1 is a launch's grid along x alone.
func grid1(n int) [3]uint32 { return [3]uint32{uint32(n), 1, 1} }

// block1 is a block of n threads.
func block1(n int) [3]uint32 { return [3]uint32{uint32(n), 1, 1} }

// checkRows refuses a bucket that no batch has.
func checkRows(op string, rows int) error {
	if rows < 1 || rows > 1<<16 {
		return fmt.Errorf("cuda: %s: a bucket of %d rows", op, rows)
	}
	return nil
}

// firstError is the first that is not nil.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
