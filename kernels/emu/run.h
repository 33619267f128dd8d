// A way to run one kernel without the fake driver:
//
//	extern "C" const emu::Kernel rmsnorm__emu;
//	emu::run_kernel(rmsnorm__emu, {rows}, {256}, 0, x, y, n, eps);
//
// Build with
//
//	g++ -std=c++17 -O2 -ffp-contract=off -I kernels/emu -x c++ kernels/cuda/rmsnorm.cu try.cc kernels/emu/exec/*.cc
//
// EMU_ORDER gives the order. A fault is printed and ends the program.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "exec/executor.h"

namespace emu {

template <class... A> Outcome try_kernel(const Kernel& kernel, Dim grid, Dim block, size_t shared, Order order, A... args) {
	if (kernel.params != int(sizeof...(A))) return {Fault::misuse, std::string(kernel.name) + ": wrong number of arguments"};
	size_t sizes[] = {sizeof(A)..., 0};
	for (int i = 0; i < kernel.params; i++)
		if (sizes[i] != kernel.sizes[i]) return {Fault::misuse, std::string(kernel.name) + ": the size of argument " + std::to_string(i)};
	void* params[] = {static_cast<void*>(&args)..., nullptr};
	Launch launch{&kernel, grid, block, shared, 227 << 10, params};
	return run(launch, order);
}

template <class... A> void run_kernel(const Kernel& kernel, Dim grid, Dim block, size_t shared, A... args) {
	Order order;
	const char* text = getenv("EMU_ORDER");
	if (text && !parse_order(text, &order)) fprintf(stderr, "EMU_ORDER=%s: unknown\n", text), exit(2);
	Outcome o = try_kernel(kernel, grid, block, shared, order, args...);
	if (o.fault != Fault::none) fprintf(stderr, "%s\n", o.text.c_str()), exit(1);
}

} // namespace emu
