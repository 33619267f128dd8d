package cuda

import (
	"errors"
	"fmt"
)

// Error is a failed call of the driver, of cuBLASLt or of NCCL.
type Error struct {
	Call string // the function called, with the kernel's name for launches: "cuLaunchKernel(rms_norm)"
	Code int    // CUresult, cublasStatus_t or ncclResult_t
	Name string // the code's name, such as CUDA_ERROR_ILLEGAL_ADDRESS
	Text string // what the library says about it
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s (%d)", e.Call, e.Name, e.Code)
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// outOfMemory is CUDA_ERROR_OUT_OF_MEMORY.
const outOfMemory = 2

// OutOfMemory reports whether err is the driver's refusal of an allocation.
func OutOfMemory(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == outOfMemory && e.Name == "CUDA_ERROR_OUT_OF_MEMORY"
}

// sticky are the codes after which a context answers every call with an error,
// as cuda.h's comments on them say. cuBLASLt's and NCCL's codes are all small.
var sticky = map[int]bool{
	214: true, // ECC_UNCORRECTABLE
	220: true, // NVLINK_UNCORRECTABLE
	226: true, // CONTAINED
	700: true, // ILLEGAL_ADDRESS
	702: true, // LAUNCH_TIMEOUT
	709: true, // CONTEXT_IS_DESTROYED
	710: true, // ASSERT
	714: true, // HARDWARE_STACK_ERROR
	715: true, // ILLEGAL_INSTRUCTION
	716: true, // MISALIGNED_ADDRESS
	717: true, // INVALID_ADDRESS_SPACE
	718: true, // INVALID_PC
	719: true, // LAUNCH_FAILED
	721: true, // TENSOR_MEMORY_LEAK
	999: true, // UNKNOWN
}

// Sticky reports whether err means that the device's context is lost: nothing
// runs on it any more, the device must be closed and opened anew.
func Sticky(err error) bool {
	var e *Error
	return errors.As(err, &e) && sticky[e.Code]
}
