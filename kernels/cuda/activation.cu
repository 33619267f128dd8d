// Activation: out[r][i] = act(x[r][i]) * x[r][n+i], gate and then up.
//
//   x    [rows][2n]  f32 or bf16
//   out  [rows][n]   f32 or bf16
//
// kind 0: silu(g)*u. kind 1, gpt-oss' clamped SwiGLU (its model card's reference code):
// g = min(g, limit), u = clamp(u, ±limit): (u+1) * g * sigmoid(alpha*g).
// Blocks: a row along x, eight elements a thread along y.
#include "vec8.cuh"

template <class In, class Out>
__device__ __forceinline__ void activation(const int* hdr, Out* out, const In* x, int n, int kind, float alpha, float limit) {
	int c = 8 * (blockIdx.y * blockDim.x + threadIdx.x);
	if (blockIdx.x >= unsigned(hdr[HEADER_ROWS]) || c >= n) return;
	x += size_t(blockIdx.x) * 2 * n;
	bool whole = n % 8 == 0;
	float gate[8], up[8];
	load8(gate, x, c, n, whole);
	load8(up, x + n, c, n, whole);
	for (int j = 0; j < 8; j++) {
		float g = gate[j], u = up[j];
		if (kind == 1) {
			g = fminf(g, limit), u = fminf(fmaxf(u, -limit), limit) + 1.0f;
		}
		gate[j] = u * g / (1.0f + __expf(kind == 1 ? -alpha * g : -g));
	}
	store8(out + size_t(blockIdx.x) * n, gate, c, n, whole);
}

#define ACTIVATION(name, In, Out) \
	extern "C" __global__ void __launch_bounds__(256) \
	name(const int* hdr, Out* out, const In* x, int n, int kind, float alpha, float limit) { \
		activation<In, Out>(hdr, out, x, n, kind, alpha, limit); \
	} \
	EXPORT_KERNEL(name)

ACTIVATION(activation_f32_f32, float, float)
ACTIVATION(activation_f32_bf16, float, bf16)
ACTIVATION(activation_bf16_f32, bf16, float)
ACTIVATION(activation_bf16_bf16, bf16, bf16)
