// Fibers: a stack each and a switch between them of a few nanoseconds. Assembly on
// x86-64 and aarch64, ucontext elsewhere (or with EMU_UCONTEXT): four to fourteen
// times slower, a system call a switch.
#pragma once
#include <cstddef>

namespace emu {

// Where a fiber stopped; opaque.
using Fiber = void*;

// fiber_make prepares a fiber that runs entry on the given stack. entry must not
// return. slot is the fiber's number among those of its worker: only ucontext
// needs it.
Fiber fiber_make(char* stack, size_t size, void (*entry)(), unsigned slot);

// fiber_switch leaves the running fiber at *from and continues to.
void fiber_switch(Fiber* from, Fiber to);

// fiber_main is a place to leave the worker's own stack at.
Fiber fiber_main();

} // namespace emu
