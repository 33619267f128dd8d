// What the fake cuBLASLt and NCCL need of the fake driver.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace fake {

// enqueue puts a library's work on a stream; it can be captured. The work gives a
// driver code (0: done). Returns a driver code.
int enqueue(void* stream, const std::string& name, std::function<int()> work);

// device_index is the current context's device, -1 where there is none.
int device_index();

// readable says whether all the bytes lie in one allocation of a device.
bool readable(const void* at, size_t bytes);

// hurry makes a device work on without anybody waiting for it, until it is called
// with false as often: what a collective that waits for it needs.
void hurry(int device, bool on);

} // namespace fake
