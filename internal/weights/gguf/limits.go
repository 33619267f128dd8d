package gguf

// What a header number may be at most, whatever the file's size allows. Real
// files stay far below: the largest vocabularies have about 260,000 entries,
// the largest models about 2,000 tensors.
const (
	minVersion   = 2
	maxVersion   = 3
	minAlignment = 8
	maxAlignment = 1 << 16
	maxPairs     = 1 << 16
	maxTensors   = 1 << 17
	maxKey       = 1 << 16 // bytes, the format's own limit
	maxName      = 256     // bytes of a tensor's name; the format says 64
	maxString    = 64 << 20
	maxArray     = 1 << 24 // elements
	maxNesting   = 4       // arrays in arrays
	maxDims      = 4
	maxDim       = 1 << 40
)

// The fewest bytes that an item can take in the file: a count of items never
// asks for memory before it has been compared with the bytes that are left.
const (
	minPairBytes   = 8 + 4 + 1
	minTensorBytes = 8 + 4 + 8 + 4 + 8
	minStringBytes = 8
	minArrayBytes  = 4 + 8
)
