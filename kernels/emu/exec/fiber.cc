#include "fiber.h"

#include <cstdint>

#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(EMU_UCONTEXT)
#define EMU_UCONTEXT
#endif

#ifdef EMU_UCONTEXT
#include <ucontext.h>

#include <map>
#include <memory>

namespace emu {

// Contexts are kept by slot and reused; slot -1 is the worker itself.
static thread_local std::map<int, std::unique_ptr<ucontext_t>> contexts;

static ucontext_t* context(int slot) {
	auto& c = contexts[slot];
	if (!c) c = std::make_unique<ucontext_t>();
	return c.get();
}

Fiber fiber_make(char* stack, size_t size, void (*entry)(), unsigned slot) {
	ucontext_t* c = context(int(slot));
	getcontext(c);
	c->uc_stack.ss_sp = stack;
	c->uc_stack.ss_size = size;
	c->uc_link = nullptr;
	makecontext(c, entry, 0);
	return c;
}

void fiber_switch(Fiber* from, Fiber to) {
	swapcontext(static_cast<ucontext_t*>(*from), static_cast<ucontext_t*>(to));
}

Fiber fiber_main() { return context(-1); }

} // namespace emu

#else

// emu_fiber_switch pushes the registers that a call preserves, exchanges the stack
// pointers, and pops those of the other fiber.
#ifdef __x86_64__
asm(R"(
.text
.globl emu_fiber_switch
.hidden emu_fiber_switch
.type emu_fiber_switch,@function
emu_fiber_switch:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret
.size emu_fiber_switch, .-emu_fiber_switch
)");
#else
asm(R"(
.text
.globl emu_fiber_switch
.hidden emu_fiber_switch
.type emu_fiber_switch,%function
emu_fiber_switch:
	sub sp, sp, #160
	stp x19, x20, [sp, #0]
	stp x21, x22, [sp, #16]
	stp x23, x24, [sp, #32]
	stp x25, x26, [sp, #48]
	stp x27, x28, [sp, #64]
	stp x29, x30, [sp, #80]
	stp d8, d9, [sp, #96]
	stp d10, d11, [sp, #112]
	stp d12, d13, [sp, #128]
	stp d14, d15, [sp, #144]
	mov x9, sp
	str x9, [x0]
	mov sp, x1
	ldp x19, x20, [sp, #0]
	ldp x21, x22, [sp, #16]
	ldp x23, x24, [sp, #32]
	ldp x25, x26, [sp, #48]
	ldp x27, x28, [sp, #64]
	ldp x29, x30, [sp, #80]
	ldp d8, d9, [sp, #96]
	ldp d10, d11, [sp, #112]
	ldp d12, d13, [sp, #128]
	ldp d14, d15, [sp, #144]
	add sp, sp, #160
	ret
.size emu_fiber_switch, .-emu_fiber_switch
)");
#endif

extern "C" void emu_fiber_switch(void** from, void* to);

namespace emu {

Fiber fiber_make(char* stack, size_t size, void (*entry)(), unsigned) {
	auto top = reinterpret_cast<uintptr_t>(stack + size) & ~uintptr_t(15);
	auto* sp = reinterpret_cast<uintptr_t*>(top);
#ifdef __x86_64__
	*--sp = 0; // the address that entry would return to: keeps the ABI's alignment
	*--sp = reinterpret_cast<uintptr_t>(entry);
	for (int i = 0; i < 6; i++) *--sp = 0;
#else
	for (int i = 0; i < 20; i++) *--sp = 0;
	sp[11] = reinterpret_cast<uintptr_t>(entry); // x30
#endif
	return sp;
}

void fiber_switch(Fiber* from, Fiber to) { emu_fiber_switch(from, to); }

Fiber fiber_main() { return nullptr; }

} // namespace emu
#endif
