// CopyPages: page copies[i][0] to page copies[i][1] in every plane, a plane being one
// layer's K, V or latents.
//
//   copies  [copies][2]
//   planes  [gridDim.y]  addresses
//   page    vectors of 16 bytes in a page
//
// Blocks: copies along x, in turns; planes along y.
#include "batch.cuh"
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(256) copy_pages(const int* hdr, const int* copies, const uint64_t* planes, int page) {
	uint4* plane = reinterpret_cast<uint4*>(planes[blockIdx.y]);
	for (int i = blockIdx.x; i < hdr[HEADER_COPIES]; i += gridDim.x) {
		const uint4* from = plane + size_t(copies[2 * i]) * page;
		uint4* to = plane + size_t(copies[2 * i + 1]) * page;
		for (int j = threadIdx.x; j < page; j += blockDim.x) to[j] = from[j];
	}
}
EXPORT_KERNEL(copy_pages)
