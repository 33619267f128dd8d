// out[r] = x[r]·Wᵀ + b for many rows: the dense product on mma.sync, for devices
// without a BLAS. As cuBLAS has it: tiles of the input and the weights pass through
// shared memory by cp.async, four under way, and warps multiply them from ldmatrix.
//
//	x    [rows][x_cols] bf16
//	W    [n][stride] bf16 row-major, stride a multiple of 8, k columns that count
//	b    [n] f32 or null
//	out  [rows][out_cols] bf16, f32 or f32 +=
//
// A block multiplies 128 or 64 rows of x by 128 of W with eight warps, two by four.
// Grid x runs over rows of x, so that the weights of neighbouring blocks come from
// the cache.
#include "batch.cuh"
#include "common.cuh"

constexpr int depth = 32, stages = 4, columns = 128, threads = 256;

// A tile's row is 64 bytes, four pieces of 16. Two rows share 128 bytes; piece c of
// row r lies at c ^ r/2%4, so that eight rows' same pieces are in different banks.
__device__ __forceinline__ int swizzled(int row, int piece) { return row * depth + (piece ^ (row / 2 & 3)) * 8; }

// Brings rows of a matrix, 32 columns from k on, into a tile. What is behind the last
// row or column becomes zero.
template <int tile_rows>
__device__ __forceinline__ void bring(bf16* tile, const bf16* m, int stride, int first, int rows, int k, int cols, bool aligned) {
	for (int i = threadIdx.x; i < tile_rows * 4; i += threads) {
		int row = i / 4, piece = i % 4, column = k + piece * 8;
		bf16* to = tile + swizzled(row, piece);
		const bf16* from = m + size_t(first + row) * stride + column;
		bool there = first + row < rows && column < cols;
		if (aligned && column + 8 <= cols) {
			cp_async16(to, there ? from : m, there);
		} else {
			for (int j = 0; j < 8; j++) to[j] = there && column + j < cols ? from[j] : from_float<bf16>(0.0f);
		}
	}
}

template <int tile_rows>
__device__ __forceinline__ void gemm(const int* hdr, void* out, int store, int out_cols, const bf16* x, int x_cols, const bf16* w,
                                     int stride, int n, int k, const float* bias) {
	constexpr int row_mmas = tile_rows / 2 / 16, column_mmas = columns / 4 / 8; // of a warp
	DYN_SMEM(bf16, smem);
	int rows = hdr[HEADER_ROWS], row0 = blockIdx.x * tile_rows, column0 = blockIdx.y * columns;
	if (row0 >= rows) return;
	int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
	int warp_row = warp / 4 * (tile_rows / 2), warp_column = warp % 4 * (columns / 4);
	bool aligned = x_cols % 8 == 0;
	int steps = (k + depth - 1) / depth;

	auto bring_step = [&](int s) {
		bf16* stage = smem + s % stages * (tile_rows + columns) * depth;
		if (s < steps) {
			bring<tile_rows>(stage, x, x_cols, row0, rows, s * depth, k, aligned);
			bring<columns>(stage + tile_rows * depth, w, stride, column0, n, s * depth, k, true);
		}
		cp_async_commit(); // of nothing behind the last: the count of groups stays right
	};
	for (int s = 0; s < stages - 1; s++) bring_step(s);

	float acc[row_mmas][column_mmas][4] = {};
	for (int s = 0; s < steps; s++) {
		cp_async_wait<stages - 2>();
		__syncthreads(); // stage s is here, and everyone is done with stage s-1
		bring_step(s + stages - 1);
		const bf16* a_tile = smem + s % stages * (tile_rows + columns) * depth;
		const bf16* b_tile = a_tile + tile_rows * depth;
#pragma unroll
		for (int h = 0; h < 2; h++) { // 16 columns
			uint32_t a[row_mmas][4], b[column_mmas / 2][4];
#pragma unroll
			for (int i = 0; i < row_mmas; i++)
				ldmatrix_x4(a[i], a_tile + swizzled(warp_row + 16 * i + lane % 16, 2 * h + lane / 16));
#pragma unroll
			for (int i = 0; i < column_mmas / 2; i++)
				ldmatrix_x4(b[i], b_tile + swizzled(warp_column + 16 * i + lane / 16 * 8 + lane % 8, 2 * h + lane / 8 % 2));
#pragma unroll
			for (int i = 0; i < row_mmas; i++)
#pragma unroll
				for (int j = 0; j < column_mmas; j++) {
					const uint32_t pair[2] = {b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]};
					mma_bf16_16816(acc[i][j], a[i], pair);
				}
		}
	}

	bool pairs = out_cols % 2 == 0;
#pragma unroll
	for (int i = 0; i < row_mmas; i++)
#pragma unroll
		for (int j = 0; j < column_mmas; j++) {
			int column = column0 + warp_column + 8 * j + lane % 4 * 2;
			if (column >= n) continue;
			bool both = column + 1 < n;
			float b0 = bias ? bias[column] : 0.0f, b1 = bias && both ? bias[column + 1] : 0.0f;
			for (int h = 0; h < 2; h++) {
				int row = row0 + warp_row + 16 * i + 8 * h + lane / 4;
				if (row >= rows) continue;
				float v0 = acc[i][j][2 * h] + b0, v1 = acc[i][j][2 * h + 1] + b1;
				size_t at = size_t(row) * out_cols + column;
				if (store == 0) {
					bf16* p = static_cast<bf16*>(out) + at;
					if (pairs && both) {
						*reinterpret_cast<uint32_t*>(p) = pack_bf16(v0, v1);
					} else {
						p[0] = from_float<bf16>(v0);
						if (both) p[1] = from_float<bf16>(v1);
					}
					continue;
				}
				float* p = static_cast<float*>(out) + at;
				if (store == 2) v0 += p[0], v1 += both ? p[1] : 0.0f;
				if (pairs && both) {
					*reinterpret_cast<float2*>(p) = make_float2(v0, v1);
				} else {
					p[0] = v0;
					if (both) p[1] = v1;
				}
			}
		}
}

#define GEMM(name, tile_rows, blocks) \
	extern "C" __global__ void __launch_bounds__(threads, blocks) \
	name(const int* hdr, void* out, int store, int out_cols, const bf16* x, int x_cols, const bf16* w, int stride, int n, int k, \
	     const float* bias) { \
		gemm<tile_rows>(hdr, out, store, out_cols, x, x_cols, w, stride, n, k, bias); \
	} \
	EXPORT_KERNEL(name)

GEMM(gemm_128, 128, 2)
GEMM(gemm_64, 64, 2)
