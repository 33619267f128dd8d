// Package cuda is the backend on an NVIDIA GPU: it records a model's ops, gives
// every buffer its type by its use, turns each op into launches of kernels/cuda
// for a bucket of rows, and replays them as graphs through internal/cuda. It is
// built with the tag cuda; without it the package is empty.
//
// Threads: calls come one at a time, as package backend says, but from any
// goroutine. Each call that reaches the driver pins itself to its OS thread and
// makes the device's context current there (see Backend.enter); the runner's
// goroutine is locked to its thread anyway, so that this costs a step nothing
// but a look at which context is current.
//
// A step: Forward checks the batch and enqueues one copy of the arena (arena.go).
// The graph is launched by Sample, forward and sample in one, or by Forward where
// the batch is Guided; then masks are copied in and Sample launches the second
// graph. Steps with more rows than graphs are made for launch the same kernels in
// one native call a segment. Sampled tokens stay on the device, where the next
// step finds them; Sync waits and reads the ids that were copied back.
//
// Memory: weights are uploaded as they come; activations, the arena, the graphs
// and the KV pages are made by Build, in this order, so that the pages can have
// what is left (see pool.go).
package cuda
