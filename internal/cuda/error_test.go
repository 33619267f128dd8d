package cuda

import (
	"errors"
	"fmt"
	"testing"
)

func TestAnErrorNamesCallCodeAndText(t *testing.T) {
	err := error(&Error{Call: "cuLaunchKernel(add)", Code: 700, Name: "CUDA_ERROR_ILLEGAL_ADDRESS", Text: "an illegal memory access"})
	if got, want := err.Error(), "cuLaunchKernel(add): CUDA_ERROR_ILLEGAL_ADDRESS (700): an illegal memory access"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOnlyFaultsThatLoseTheContextAreSticky(t *testing.T) {
	for code, want := range map[int]bool{
		1: false, 2: false, 100: false, 500: false, 600: false, 701: false, 801: false, 900: false, 910: false, 7: false, 15: false,
		214: true, 700: true, 702: true, 710: true, 715: true, 716: true, 718: true, 719: true,
	} {
		if got := Sticky(fmt.Errorf("a step: %w", &Error{Code: code})); got != want {
			t.Errorf("code %d: %v", code, got)
		}
	}
	if Sticky(nil) || Sticky(errors.New("700")) {
		t.Error("what is no Error is sticky")
	}
}

func TestOutOfMemoryIsTheDriversRefusal(t *testing.T) {
	refused := &Error{Call: "cuMemAlloc", Code: 2, Name: "CUDA_ERROR_OUT_OF_MEMORY"}
	if !OutOfMemory(fmt.Errorf("weights: %w", refused)) || OutOfMemory(&Error{Call: "ncclAllReduce", Code: 2, Name: "ncclSystemError"}) || OutOfMemory(nil) {
		t.Error("memory that is short is mistaken")
	}
}
