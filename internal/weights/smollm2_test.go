package weights

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"reflect"
	"testing"

	"github.com/reasond/reasond/internal/weights/quant"
	"github.com/reasond/reasond/testdata/smollm2"
)

// The real file's tensors, dequantised, are the gguf package's bit for bit.
// Names and row order are the file's own, so Meta is compared.
func TestDequantisedSmolLM2EqualsTheGGUFPackage(t *testing.T) {
	path := smollm2.Need(t)
	raw, err := os.ReadFile("../../testdata/smollm2/tensors.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Type   string
		Shape  []int
		SHA256 string
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	m := open(t, path)
	if len(m.Meta.Tensors) != len(want) {
		t.Errorf("%d tensors, want %d", len(m.Meta.Tensors), len(want))
	}
	for _, tensor := range m.Meta.Tensors {
		w := want[tensor.Name]
		if tensor.DType.String() != w.Type || !reflect.DeepEqual(tensor.Shape, w.Shape) {
			t.Errorf("%s is %s %v, want %s %v", tensor.Name, tensor.DType, tensor.Shape, w.Type, w.Shape)
			continue
		}
		if got := digest(tensor.DType, tensor.Data); got != w.SHA256 {
			t.Errorf("%s (%s): SHA-256 %s, want %s", tensor.Name, tensor.DType, got, w.SHA256)
		}
	}
}

// digest is the SHA-256 of the tensor's float32 values, little-endian.
func digest(d quant.DType, data []byte) string {
	h := sha256.New()
	const blocks = 1024
	values := make([]float32, blocks*d.BlockSize())
	out := make([]byte, 4*len(values))
	for len(data) > 0 {
		n := min(blocks, len(data)/d.BlockBytes())
		part := values[:n*d.BlockSize()]
		quant.Dequantise(part, d, data[:n*d.BlockBytes()])
		for i, v := range part {
			binary.LittleEndian.PutUint32(out[4*i:], math.Float32bits(v))
		}
		h.Write(out[:4*len(part)])
		data = data[n*d.BlockBytes():]
	}
	return hex.EncodeToString(h.Sum(nil))
}
