// EXPORT_KERNEL(name) makes an extern "C" kernel known by its name: the symbol
// name__emu describes it.
#pragma once
#include <cstdint>
#include <type_traits>
#include <utility>

#include "../exec/executor.h"

namespace emu {

template <auto K> struct Thunk;

template <class... A, void (*K)(A...)> struct Thunk<K> {
	static constexpr int count = sizeof...(A);
	static constexpr uint16_t sizes[count + 1] = {uint16_t(sizeof(A))..., 0};

	static void call(void* const* params) { spread(params, std::index_sequence_for<A...>{}); }

	template <size_t... I> static void spread(void* const* params, std::index_sequence<I...>) {
		K(*static_cast<std::remove_cv_t<std::remove_reference_t<A>>*>(params[I])...);
		(void)params;
	}
};

} // namespace emu

#define EXPORT_KERNEL(name) \
	extern "C" __attribute__((visibility("default"))) const emu::Kernel name##__emu; \
	extern "C" const emu::Kernel name##__emu = {#name, emu::Thunk<name>::call, emu::Thunk<name>::count, emu::Thunk<name>::sizes};
