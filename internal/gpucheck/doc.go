// Package gpucheck measures what a GPU makes of this program: the bandwidth that
// kernels reach beside a plain copy, prefill beside cuBLASLt, and tokens a second
// of whole models with random weights beside what the memory's bandwidth allows.
// Its test binary, with the suites of the packages below it linked in, is what
// `make gpu-bundle` brings to a machine that has a GPU and little else; gpu-check
// runs it there. On the emulated driver everything runs at tiny shapes: the
// figures mean nothing then, that they come out does.
//
// It needs the tag cuda; nothing imports it.
package gpucheck
