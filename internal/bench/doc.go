// Package bench measures how fast a backend runs a model: prefill, decoding and
// decoding of several sequences at once, at any depth, step by step as the
// engine's runner does it (fill, forward, sample, sync), beside what the machine
// allows: the bytes of a step over the speed of its memory, the operations of its
// matrices over the peak of the unit that multiplies them. It also measures
// perplexity, which speed must not be paid with.
//
// What a step reads and computes is not guessed from a configuration: Count looks
// on while a model is loaded and built. The package knows no flags, no files and
// no network; package load is the client of servers.
package bench
