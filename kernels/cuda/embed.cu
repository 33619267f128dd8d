// Embed: out[r] = the table's row of token r.
//
//   token  [rows]        negative: the token is last[~token], the one sampled in that slot
//   table  a Matrix (formats.cuh) of part_rows tokens from `first` on, in any format
//   out    [rows][cols]  f32 or bf16
//
// The table holds table_rows tokens from table_first on in one or several parts, a
// launch each; the first part's launch writes zeros for the tokens that the table does
// not hold, the others have table_rows 0.
//
// A block a row. In a packed format the columns of a token are with four lanes of a
// record, so four threads read a record's part of them.
#include "formats.cuh"
#include "vec8.cuh"

template <class T> __device__ __forceinline__ void zero_row(T* out, int cols) {
	float zeros[8] = {};
	for (int c = 8 * threadIdx.x; c < cols; c += 8 * blockDim.x) store8(out, zeros, c, cols, cols % 8 == 0);
}

template <class T> __device__ __forceinline__ void dense_row(T* out, const Matrix& m, int row) {
	const bf16* x = reinterpret_cast<const bf16*>(m.data) + size_t(row) * ((m.cols + 7) / 8 * 8);
	float v[8];
	for (int c = 8 * threadIdx.x; c < m.cols; c += 8 * blockDim.x) {
		load8(v, x + c);
		store8(out, v, c, m.cols, m.cols % 8 == 0);
	}
}

template <class F, class T> __device__ __forceinline__ void packed_row(T* out, const Matrix& m, int row) {
	int tile = row / 16, half = row / 8 % 2, lane = row % 8 * 4 + threadIdx.x % 4;
	for (int step = threadIdx.x / 4; step < m.steps(); step += blockDim.x / 4) {
		typename F::Step v;
		load_step<F>(v, m, tile, step, lane);
#pragma unroll
		for (int s = 0; s < 4; s++) {
			uint32_t codes[4];
			float scale[2], offset[2] = {0.0f, 0.0f};
			F::fragment(codes, v, s);
			F::scale(scale, offset, v, 16 * s / F::group);
#pragma unroll
			for (int p = 0; p < 4; p++) {
				int column = 64 * step + fragment_column<F>(lane, s, p);
				if (p % 2 != half) continue;
				if (column < m.cols) out[column] = from_float<T>(bf16_low(codes[p]) * scale[p % 2] + offset[p % 2]);
				if (column + 1 < m.cols) out[column + 1] = from_float<T>(bf16_high(codes[p]) * scale[p % 2] + offset[p % 2]);
			}
		}
	}
}

template <class F, class T>
__device__ __forceinline__ void embed(const int* hdr, const int* token, const int* last, T* out, const Matrix& m, int first, int table_first, int table_rows) {
	int r = blockIdx.x;
	if (r >= hdr[HEADER_ROWS]) return;
	int id = token[r];
	if (id < 0) id = last[~id];
	out += size_t(r) * m.cols;
	if (id < first || id >= first + m.rows) {
		if (table_rows > 0 && (id < table_first || id >= table_first + table_rows)) zero_row(out, m.cols);
	} else if constexpr (F::packed) {
		packed_row<F>(out, m, id - first);
	} else {
		dense_row(out, m, id - first);
	}
}

#define EMBED(name, F, T) \
	extern "C" __global__ void __launch_bounds__(512) \
	name(const int* hdr, const int* token, const int* last, T* out, const uint8_t* data, const uint32_t* side, int shift, int stride, \
	     int rows, int cols, int first, int table_first, int table_rows) { \
		embed<F, T>(hdr, token, last, out, Matrix{data, side, shift, stride, rows, cols}, first, table_first, table_rows); \
	} \
	EXPORT_KERNEL(name)

#define EMBEDS(format, F) \
	EMBED(embed_##format##_f32, F, float) \
	EMBED(embed_##format##_bf16, F, bf16)

EMBEDS(bf16, BF16)
EMBEDS(q8, Q8)
EMBEDS(q4, Q4)
EMBEDS(q4m, Q4M)
EMBEDS(q4k, Q4K)
EMBEDS(q5k, Q5K)
EMBEDS(q6k, Q6K)
EMBEDS(mxfp4, MXFP4)
EMBEDS(i4, I4)
EMBEDS(fp8, FP8)
