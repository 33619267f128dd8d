// A kernel that touches what it may not raises SIGSEGV on the worker's thread, on a
// signal stack (the fiber's own may be what overflowed). The handler leaves the
// fiber for the worker's stack; signals that no kernel raised go on to the handler
// that was installed before.
#include <csignal>
#include <cstring>
#include <memory>
#include <mutex>

#include "worker.h"

namespace emu {

static struct sigaction before[65];
static const int caught[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};

static const char* describe(int sig) {
	switch (sig) {
	case SIGFPE: return "an arithmetic fault (a division of integers by zero?)";
	case SIGILL: return "an illegal instruction";
	default: return "an illegal address";
	}
}

static void handle(int sig, siginfo_t* info, void* context) {
	Thread* t = self;
	if (t) {
		sigset_t set; // the handler is left without returning: unblock what it blocked
		sigemptyset(&set);
		for (int s : caught) sigaddset(&set, s);
		pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
		std::string what = describe(sig);
		auto at = reinterpret_cast<char*>(info->si_addr);
		if (sig == SIGSEGV || sig == SIGBUS) {
			char hex[32];
			snprintf(hex, sizeof hex, " 0x%llx", static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(at)));
			what += hex;
			char* low = worker->stacks + size_t(t->stack) * STACK;
			if (at >= low && at < low + (4 << 10)) what = "the thread's stack overflowed";
		}
		fail(sig == SIGFPE || sig == SIGILL ? Fault::instruction : Fault::address, what);
	}
	const struct sigaction& old = before[sig];
	if (old.sa_flags & SA_SIGINFO) {
		old.sa_sigaction(sig, info, context);
	} else if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) {
		old.sa_handler(sig);
	} else {
		signal(sig, SIG_DFL); // the instruction runs again and ends the process
	}
}

// SignalStack is the calling thread's signal stack, unless it has one.
struct SignalStack {
	std::unique_ptr<char[]> memory;

	SignalStack() {
		stack_t old;
		if (sigaltstack(nullptr, &old) == 0 && !(old.ss_flags & SS_DISABLE)) return;
		size_t size = 64 << 10;
		memory = std::make_unique<char[]>(size);
		stack_t s{};
		s.ss_sp = memory.get();
		s.ss_size = size;
		sigaltstack(&s, nullptr);
	}
	~SignalStack() {
		if (!memory) return;
		stack_t s{};
		s.ss_flags = SS_DISABLE;
		sigaltstack(&s, nullptr);
	}
};

void install_signals() {
	static std::once_flag once;
	std::call_once(once, [] {
		for (int sig : caught) {
			struct sigaction a{};
			a.sa_sigaction = handle;
			a.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
			sigfillset(&a.sa_mask);
			sigaction(sig, &a, &before[sig]);
		}
	});
	static thread_local SignalStack stack;
	(void)&stack;
}

} // namespace emu
