// Latent attention with absorbed weights (DeepSeek-V2, arXiv 2405.04434): every head
// has the same keys, a token's [latents | rotated tail], and the latents are the
// values too, so a tile is read once for both products and for 16 heads.
//
//   items     [narrow][8]
//   absorbed  [rows][heads][rank]             bf16, the query's part over the latents
//   q         [rows][heads][nope + rope]      bf16, of which the tails are read
//   pages     [page][32][rank + rope]         bf16
//   out       [rows][heads][rank]             bf16
//   partials  see attention.cuh
//
// rank is a multiple of 16 up to 512, rope of 8.
//
// Blocks: items along x, 16 heads along y (with fewer heads, several tokens share a
// tile). 4 warps: a step's 32 tokens are divided among them for the scores, the latents
// for the sums. Shared, width being rank + rope rounded up to 32: queries [16][width],
// tokens [2][32][width], weights [16][32], and f32 [4][16] largest scores or sums.
#include "attention.cuh"

constexpr int WARPS = 4, PAIRS = 16, MAX_RANK = 512;

extern "C" __global__ void __launch_bounds__(32 * WARPS)
latent_attention(const int* hdr, const int* items, const int* pages, const bf16* absorbed, const bf16* q,
                 const bf16* cache, bf16* out, float* scratch, int slots, int heads, int rank, int nope, int rope, float scale) {
	DYN_SMEM(bf16, queries);
	Item it = read_item(items); // there is one for each block; asked for with the count
	if (blockIdx.x >= unsigned(hdr[HEADER_NARROW])) return;
	int wide = rank + rope, width = (wide + 31) / 32 * 32, chunks = width / 8;
	bf16 *tokens = queries + PAIRS * width, *weights = tokens + 2 * PAGE * width;
	float* tops = reinterpret_cast<float*>(weights + PAIRS * PAGE); // [WARPS][PAIRS]
	int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, from_head = blockIdx.y * PAIRS;
	int side = min(heads, PAIRS), used = it.rows * side;
	auto head_of = [&](int m) { return from_head + m % side; };
	auto is_used = [&](int m) { return m < used && head_of(m) < heads; };

	int tiles = (it.to - it.from + PAGE - 1) / PAGE; // a page each
	auto ask = [&](int i) {
		if (i < tiles) {
			int first = it.from + i * PAGE;
			const bf16* from = cache + size_t(pages[it.table + first / PAGE]) * PAGE * wide;
			for (int c = threadIdx.x; c < PAGE * chunks; c += 32 * WARPS) {
				int token = c / chunks, d = c % chunks * 8;
				bool valid = first + token < it.to && d < wide;
				cp_async16(tokens + i % 2 * PAGE * width + tile_place(chunks, token, c % chunks), from + (valid ? token * wide + d : 0), valid);
			}
		}
		cp_async_commit();
	};
	for (int c = threadIdx.x; c < PAIRS * chunks; c += 32 * WARPS) {
		int m = c / chunks, d = c % chunks * 8;
		bool valid = is_used(m) && d < wide;
		size_t at = valid ? size_t(it.row + m / side) * heads + head_of(m) : 0;
		const bf16* from = d < rank ? absorbed + at * rank + d : q + at * (nope + rope) + nope + d - rank;
		cp_async16(queries + tile_place(chunks, m, c % chunks), valid ? from : absorbed, valid);
	}
	ask(0); // the queries are of this group too

	Visible visible;
	for (int i = 0; i < 2; i++) {
		int m = lane / 4 + 8 * i;
		visible.lo[i] = visible.hi[i] = 0;
		if (m < used) see(visible, i, it.pos + m / side, 0, it);
	}
	Softmax soft;
	float sums[MAX_RANK / WARPS / 8][4] = {}; // of latents 16*warp.., every 16*WARPS
	for (int i = 0; i < tiles; i++) {
		const bf16* tile = tokens + i % 2 * PAGE * width;
		cp_async_wait<0>();
		__syncthreads(); // the tile is there, and all warps are done with the last one
		ask(i + 1);

		// This warp's 8 tokens against all queries; a B fragment of 8 tokens by 32 elements.
		float s[1][4] = {};
		for (int d = 0; d < width / 32; d++) {
			uint32_t a[4], b[4];
			ldmatrix_x4(b, tile + tile_place(chunks, 8 * warp + (lane & 7), 4 * d + lane / 8));
			load_query(a, queries, chunks, 0, 2 * d);
			mma_bf16_16816(s[0], a, {b[0], b[1]});
			load_query(a, queries, chunks, 0, 2 * d + 1);
			mma_bf16_16816(s[0], a, {b[2], b[3]});
		}
		hide(s, visible, it.from + i * PAGE + 8 * warp);
		for (int r = 0; r < 2; r++) {
			float top = quad_max(fmaxf(s[0][2 * r], s[0][2 * r + 1]));
			if ((lane & 3) == 0) tops[warp * PAIRS + lane / 4 + 8 * r] = top * scale * LOG2E;
		}
		__syncthreads();
		for (int r = 0; r < 2; r++) {
			int m = lane / 4 + 8 * r;
			float top = soft.top[r];
			for (int w = 0; w < WARPS; w++) top = fmaxf(top, tops[w * PAIRS + m]);
			float keep = ex2f(soft.top[r] - top), x = ex2f(s[0][2 * r] * scale * LOG2E - top), y = ex2f(s[0][2 * r + 1] * scale * LOG2E - top);
			soft.top[r] = top;
			soft.sum[r] = soft.sum[r] * keep + x + y;
			*reinterpret_cast<uint32_t*>(weights + tile_place(PAGE / 8, m, warp) + 2 * (lane & 3)) = pack_bf16(x, y);
#pragma unroll
			for (int n = 0; n < MAX_RANK / WARPS / 8; n++) sums[n][2 * r] *= keep, sums[n][2 * r + 1] *= keep;
		}
		__syncthreads(); // the weights of all tokens are there
#pragma unroll
		for (int j = 0; j < PAGE / 16; j++) {
			uint32_t a[4], b[4];
			load_query(a, weights, PAGE / 8, 0, j);
#pragma unroll
			for (int n = 0; n < MAX_RANK / WARPS / 16; n++) {
				int d = n * WARPS + warp; // the latents 16d..16d+15
				if (16 * d >= rank) break;
				load_values(b, tile, chunks, 16 * j, d);
				mma2(sums[2 * n], sums[2 * n + 1], a, b);
			}
		}
	}

	// The sum of weights is divided among the warps' tokens. All have read the largest
	// scores: there was a barrier since.
	for (int r = 0; r < 2; r++) {
		float sum = quad_sum(soft.sum[r]);
		if ((lane & 3) == 0) tops[warp * PAIRS + lane / 4 + 8 * r] = sum;
	}
	__syncthreads();
	Partials partials = partials_at(scratch, slots, heads, rank);
	for (int r = 0; r < 2; r++) {
		int m = lane / 4 + 8 * r;
		if (!is_used(m)) continue;
		float sum = 0.0f;
		for (int w = 0; w < WARPS; w++) sum += tops[w * PAIRS + m];
		float by = divisor(soft.top[r], sum, nullptr, 0);
		size_t to = size_t(it.row + m / side) * heads + head_of(m), slot = size_t(it.slot + m / side) * heads + head_of(m);
		if (it.slot >= 0 && warp == 0 && (lane & 3) == 0) partials.stats[2 * slot] = soft.top[r], partials.stats[2 * slot + 1] = sum;
#pragma unroll
		for (int n = 0; n < MAX_RANK / WARPS / 8; n++) {
			int d = (n / 2 * WARPS + warp) * 16 + n % 2 * 8 + 2 * (lane & 3);
			if (d >= rank) break;
			float x = sums[n][2 * r], y = sums[n][2 * r + 1];
			if (it.slot < 0) {
				*reinterpret_cast<uint32_t*>(out + to * rank + d) = pack_bf16(x * by, y * by);
			} else {
				partials.sums[slot * rank + d] = x, partials.sums[slot * rank + d + 1] = y;
			}
		}
	}
}
EXPORT_KERNEL(latent_attention)
