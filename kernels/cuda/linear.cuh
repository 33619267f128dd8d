// out[r] = x[r]·Wᵀ + b for few rows: the weights are read once, through no shared
// memory, by 16-byte loads of which each thread has several under way, and multiplied
// on tensor cores as the A operand with 8, 16, 32 or 64 tokens as columns of B. Linear,
// gated linear, a matrix a head and the experts of a layer are all this kernel.
//
//	W    parts of packed matrices (format.go), the next matrix `next` bytes on
//	b    [rows padded to 16] f32 of each matrix, or null
//	x    [tokens][x_cols] bf16 or f32, rounded to bf16; from column x_offset +
//	     matrix*x_next
//	out  [tokens][out_cols] bf16, f32 or f32 +=, from column out_first + matrix*out_next,
//	     `width` of them
//
// A block is four warps with a tile of 16 rows of W each; tiles are along z. Along y
// blocks divide the sum over columns: partial sums go through memory, and the last
// block of a tile adds them up in their order. Along x are pieces of work, a matrix
// and some tokens, so that blocks that read the same weights run together: tokens
// x % blocks of matrix x / blocks, or, with a list of items, what item x says:
// [1 + most][4] ints, expert, first slot, slots, 0; item 0 counts the others. Slot s
// reads row list[s] of x, or row s where there is no list, and writes row s of out.
//
// gate: 0 none; 1 silu(g)*u; 2 clamped swiglu (gpt-oss's model card): rows of gate and
// up alternate by eight, so that a thread holds both.
//
// Earlier rungs: a row a warp with FMA, which reads as fast for one token and computes
// too much for four.
#pragma once
#include "batch.cuh"
#include "formats.cuh"

constexpr int linear_threads = 128;

// A block's chunk of the input in shared memory, in elements of a row: 16 KB, 32 KB
// for 64 tokens.
template <int tokens> constexpr int chunk_columns = tokens >= 32 ? 256 : 8192 / tokens;

// Whether a format's sums take those of the input.
template <class F> constexpr bool needs_sums = F::minimum || F::shifted != 0.0f;

__device__ __forceinline__ float gated(float g, float u, int kind, float alpha, float limit) {
	if (kind == 1) return g / (1.0f + __expf(-g)) * u;
	g = fminf(g, limit);
	u = fminf(fmaxf(u, -limit), limit);
	return (u + 1.0f) * g / (1.0f + __expf(-alpha * g));
}

// Eight elements of row r of x from column k on, as bfloat16; zeros from column
// `end` on. Fast where rows keep 16-byte alignment.
__device__ __forceinline__ uint4 load_input(const void* x, bool f32, size_t at, int k, int end, bool aligned) {
	if (aligned && k + 8 <= end) {
		if (!f32) return *reinterpret_cast<const uint4*>(static_cast<const bf16*>(x) + at + k);
		const float4* p = reinterpret_cast<const float4*>(static_cast<const float*>(x) + at + k);
		float4 a = p[0], b = p[1];
		return make_uint4(pack_bf16(a.x, a.y), pack_bf16(a.z, a.w), pack_bf16(b.x, b.y), pack_bf16(b.z, b.w));
	}
	float v[8];
	for (int j = 0; j < 8; j++)
		v[j] = k + j >= end ? 0.0f : f32 ? static_cast<const float*>(x)[at + k + j] : to_float(static_cast<const bf16*>(x)[at + k + j]);
	return make_uint4(pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]), pack_bf16(v[4], v[5]), pack_bf16(v[6], v[7]));
}

__device__ __forceinline__ float sum8(const uint4& v) {
	return ((bf16_low(v.x) + bf16_high(v.x)) + (bf16_low(v.y) + bf16_high(v.y))) +
	       ((bf16_low(v.z) + bf16_high(v.z)) + (bf16_low(v.w) + bf16_high(v.w)));
}

// acc += a record's 16 rows times its 64 columns of the input, which begin at xs, for
// the first `most` of the tokens; sums has the sums of the input's groups of 32, a row
// of tokens each.
template <class F, int tokens, int most, int stride>
__device__ __forceinline__ void multiply(float (&acc)[tokens / 8][4], const typename F::Step& v, const bf16* xs, const float* sums, int lane) {
#pragma unroll
	for (int i = 0; i < 2; i++) { // 32 columns
		uint32_t a[2][4];
		for (int j = 0; j < 2; j++) F::sum_fragment(a[j], v, 2 * i + j);
		float d[2][2], o[2];
		F::scale(d[0], o, v, F::group == 16 ? 2 * i : i);
		if (F::group == 16) F::scale(d[1], o, v, 2 * i + 1);
#pragma unroll
		for (int n = 0; n < most / 8; n++) {
			uint32_t b[4];
			if (F::packed) {
				ldmatrix_x4(b, xs + (8 * n + lane % 8) * stride + 32 * i + lane / 8 * 8);
			} else {
				uint4 w = *reinterpret_cast<const uint4*>(xs + (8 * n + lane / 4) * stride + 32 * i + lane % 4 * 8);
				b[0] = w.x, b[1] = w.y, b[2] = w.z, b[3] = w.w;
			}
			const uint32_t b0[2] = {b[0], b[1]}, b1[2] = {b[2], b[3]};
			if (!F::packed) {
				mma_bf16_16816(acc[n], a[0], b0);
				mma_bf16_16816(acc[n], a[1], b1);
				continue;
			}
			float part[4] = {};
			float2 sum = make_float2(0.0f, 0.0f);
			if (needs_sums<F>) sum = *reinterpret_cast<const float2*>(sums + i * tokens + 8 * n + lane % 4 * 2);
			if (F::shifted != 0.0f) part[0] = part[2] = -F::shifted * sum.x, part[1] = part[3] = -F::shifted * sum.y;
			mma_bf16_16816(part, a[0], b0);
			if (F::group == 16) {
				for (int c = 0; c < 4; c++) acc[n][c] += d[0][c / 2] * part[c], part[c] = 0.0f;
			}
			mma_bf16_16816(part, a[1], b1);
			for (int c = 0; c < 4; c++) acc[n][c] += d[F::group == 16][c / 2] * part[c];
			if (F::minimum) {
				for (int c = 0; c < 4; c++) acc[n][c] += o[c / 2] * (c % 2 ? sum.y : sum.x);
			}
		}
	}
}

#define LINEAR_ARGS \
	const int *hdr, const uint8_t *data, const uint8_t *side, const uint8_t *bias, long long next, int side_shift, int side_stride, \
		int rows, int cols, int count, const void *x, int x_f32, int x_cols, int x_offset, int x_next, void *out, int store, \
		int out_cols, int out_first, int out_next, int width, int gate, float alpha, float limit, float *partials, \
		unsigned *counters, int slice, const int *items, const int *list

template <class F, int tokens> __device__ __forceinline__ void linear(LINEAR_ARGS) {
	constexpr int chunk = chunk_columns<tokens>;
	// Rows keep conflicts away: ldmatrix wants eight rows in different banks, a read of
	// 16 bytes of four lanes two.
	constexpr int stride = chunk + (F::packed ? 8 : 32), groups = chunk / 32, vectors = tokens * chunk / 8 / linear_threads;
	SHARED(bf16, xs, tokens * stride);
	SHARED(float, sums, needs_sums<F> ? tokens * groups : 1);
	SHARED(int, source, tokens);
	SHARED(int, last, 1);
	int lane = threadIdx.x % 32, warp = threadIdx.x / 32, piece = blockIdx.x;

	int matrix, first, taken;
	if (items) {
		if (piece >= items[0]) return;
		const int* item = items + 4 * (1 + piece);
		matrix = item[0], first = item[1], taken = item[2];
	} else {
		int blocks = gridDim.x / count;
		matrix = piece / blocks, first = piece % blocks * tokens, taken = min(hdr[HEADER_ROWS] - first, tokens);
	}
	if (taken <= 0) return;
	int t = threadIdx.x;
	if (t < tokens) source[t] = t >= taken ? -1 : list ? list[first + t] : first + t;
	size_t at = size_t(matrix) * next;
	Matrix m = {data + at, reinterpret_cast<const uint32_t*>(side + at), side_shift, side_stride, rows, cols};
	int x_from = x_offset + matrix * x_next;
	bool aligned = x_from % 8 == 0 && x_cols % 8 == 0;

	int tile = blockIdx.z * 4 + warp, steps = m.steps(), step = blockIdx.y * slice, end = min(step + slice, steps);
	bool works = tile * 16 < rows, half = tokens == 64 && taken <= 32; // an expert's last piece
	typename F::Step ahead[F::depth];
	Place at_tile = F::place(m, tile, lane);
	if (works) {
#pragma unroll
		for (int i = 0; i < F::depth; i++)
			if (step + i < end) F::load(ahead[i], at_tile, step + i);
	}
	float acc[tokens / 8][4] = {};
	__syncthreads(); // source

	for (; step < end; step += chunk / 64) {
		// The chunk's input, four loads under way in a thread. Of tokens that are not
		// there nothing is read or written: a column of B shows in that of the sums alone.
		for (int i = 0; i < vectors; i += 4) {
			uint4 v[4];
			int to[4];
#pragma unroll
			for (int j = 0; j < 4; j++) {
				int e = (i + j) * linear_threads + t, token = e / (chunk / 8), k = e % (chunk / 8) * 8, row = source[token];
				to[j] = row < 0 || step * 64 + k >= end * 64 ? -1 : token * stride + k;
				v[j] = make_uint4(0, 0, 0, 0);
				if (to[j] >= 0) v[j] = load_input(x, x_f32, size_t(row) * x_cols + x_from, step * 64 + k, cols, aligned);
			}
#pragma unroll
			for (int j = 0; j < 4; j++) {
				if (to[j] >= 0) *reinterpret_cast<uint4*>(xs + to[j]) = v[j];
				if (needs_sums<F>) {
					float s = sum8(v[j]);
					s += __shfl_xor_sync(0xFFFFFFFFu, s, 1);
					s += __shfl_xor_sync(0xFFFFFFFFu, s, 2);
					int e = (i + j) * linear_threads + t, token = e / (chunk / 8), k = e % (chunk / 8);
					if (k % 4 == 0) sums[k / 4 * tokens + token] = s;
				}
			}
		}
		__syncthreads();
		if (works) {
			for (int c = 0; c < chunk / 64; c += F::depth) {
#pragma unroll
				for (int i = 0; i < F::depth; i++) {
					int s = step + c + i;
					if (s >= end) break;
					const bf16* input = xs + (c + i) * 64;
					const float* input_sums = sums + (c + i) * 2 * tokens;
					if (half) {
						multiply<F, tokens, tokens == 64 ? 32 : tokens, stride>(acc, ahead[i], input, input_sums, lane);
					} else {
						multiply<F, tokens, tokens, stride>(acc, ahead[i], input, input_sums, lane);
					}
					if (s + F::depth < end) F::load(ahead[i], at_tile, s + F::depth);
				}
			}
		}
		__syncthreads(); // the chunk is read
	}

	if (gridDim.y > 1) {
		size_t unit = size_t(blockIdx.z) * gridDim.x + blockIdx.x;
		float4* mine = reinterpret_cast<float4*>(partials) + (unit * gridDim.y) * (tokens / 8) * linear_threads + threadIdx.x;
		for (int n = 0; n < tokens / 8; n++)
			mine[(blockIdx.y * (tokens / 8) + n) * linear_threads] = make_float4(acc[n][0], acc[n][1], acc[n][2], acc[n][3]);
		__threadfence();
		__syncthreads();
		if (threadIdx.x == 0) last[0] = atomicAdd(counters + unit, 1u) == gridDim.y - 1;
		__syncthreads();
		if (!last[0]) return;
		__threadfence();
		for (int n = 0; n < tokens / 8; n++) {
			float4 sum = make_float4(0, 0, 0, 0);
			for (unsigned y = 0; y < gridDim.y; y++) {
				float4 p = __ldcg(mine + (y * (tokens / 8) + n) * linear_threads);
				sum.x += p.x, sum.y += p.y, sum.z += p.z, sum.w += p.w;
			}
			acc[n][0] = sum.x, acc[n][1] = sum.y, acc[n][2] = sum.z, acc[n][3] = sum.w;
		}
		if (threadIdx.x == 0) counters[unit] = 0;
	}

	if (!works) return;
	int row = tile * 16 + lane / 4; // and row + 8
	float b[2] = {};
	if (bias) {
		const float* p = reinterpret_cast<const float*>(bias + at);
		b[0] = p[row], b[1] = p[row + 8];
	}
	for (int n = 0; n < tokens / 8; n++) {
		for (int c = 0; c < 2; c++) {
			int token = 8 * n + lane % 4 * 2 + c;
			if (token >= taken) continue;
			size_t to = size_t(first + token) * out_cols + out_first + matrix * out_next;
			float v[2] = {acc[n][c] + b[0], acc[n][2 + c] + b[1]};
			if (gate) {
				int column = tile * 8 + lane / 4;
				if (column < width) static_cast<bf16*>(out)[to + column] = from_float<bf16>(gated(v[0], v[1], gate, alpha, limit));
				continue;
			}
			for (int h = 0; h < 2; h++) {
				int column = row + 8 * h;
				if (column >= width) continue;
				if (store == 0) static_cast<bf16*>(out)[to + column] = from_float<bf16>(v[h]);
				if (store == 1) static_cast<float*>(out)[to + column] = v[h];
				if (store == 2) static_cast<float*>(out)[to + column] += v[h];
			}
		}
	}
}

#define LINEAR_KERNEL(name, F, tokens, blocks) \
	extern "C" __global__ void __launch_bounds__(linear_threads, blocks) name##_##tokens(LINEAR_ARGS) { \
		linear<F, tokens>(hdr, data, side, bias, next, side_shift, side_stride, rows, cols, count, x, x_f32, x_cols, x_offset, x_next, \
		                  out, store, out_cols, out_first, out_next, width, gate, alpha, limit, partials, counters, slice, items, list); \
	} \
	EXPORT_KERNEL(name##_##tokens)

#define LINEAR_KERNELS(name, F) \
	LINEAR_KERNEL(name, F, 8, 4) \
	LINEAR_KERNEL(name, F, 16, 4) \
	LINEAR_KERNEL(name, F, 32, 3) \
	LINEAR_KERNEL(name, F, 64, 3)
