//go:build cuda && cgo && linux

package cuda_test

import (
	"os"
	"testing"

	"github.com/reasond/reasond/internal/cuda/cudatest"
)

// The kernels' results do not depend on the order in which threads, warps and
// blocks run: where a barrier is missing, one of these orders shows it.
func TestKernelsInOtherThreadOrders(t *testing.T) {
	openDevice(t)
	if !cudatest.Present() {
		t.Skip("the order of threads is chosen on the emulated driver alone")
	}
	own := os.Getenv("EMU_ORDER")
	if own == "" {
		own = "forward"
	}
	for _, order := range []string{"forward", "reverse", "seed:1"} {
		if order == own {
			continue // the other tests run in it
		}
		t.Run(order, func(t *testing.T) {
			if err := cudatest.SetOrder(order); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cudatest.SetOrder(own) })
			for name, test := range map[string]func(*testing.T){
				"RMSNorm": TestRMSNorm, "Elementwise": TestElementwise, "CopyPages": TestCopyPages,
				"Embed": TestEmbedGivesTheTablesRowsInEveryFormat, "StoreKV": TestStoreKV,
				"Attention": TestAttention, "LatentAttention": TestLatentAttention,
				"Linear": TestLinearIsTheProductInEveryFormat, "Gated": TestGatedLinearJoinsGateAndUp, "Heads": TestHeadLinearMultipliesEachHead,
				"Gemm": TestGemmIsTheProduct, "Dequant": TestDequantisedMatricesMultiplyAlike,
				"Route": TestRoutersChooseAsTheMathematicsSays, "Experts": TestExpertsAreTheWeightedSumOfTheChosen,
			} {
				t.Run(name, test)
			}
		})
	}
}
