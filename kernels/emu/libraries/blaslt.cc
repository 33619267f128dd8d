// A cuBLASLt of the functions that internal/cuda uses: D = alpha op(A) op(B) + beta C
// (+ a bias along the rows of D), column-major, summed in float32. Its work runs on
// the fake driver's streams and can be captured.
//
// Values of enumerations are those of "cuBLASLt Datatypes Reference".
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "../device/floats.h"
#include "../driver/library.h"

#define API extern "C" __attribute__((visibility("default")))

namespace {

enum Status { SUCCESS = 0, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum Type { R_32F = 0, R_16F = 2, R_16BF = 14 };
enum { COMPUTE_32F = 68, OP_N = 0, OP_T = 1 };
enum Attribute { TRANSA = 3, TRANSB = 4, EPILOGUE = 7, BIAS_POINTER = 8, BIAS_TYPE = 26 };
enum { EPILOGUE_DEFAULT = 1, EPILOGUE_BIAS = 4 };

struct Desc {
	int transa = OP_N, transb = OP_N, epilogue = EPILOGUE_DEFAULT, bias_type = -1;
	const void* bias = nullptr;
};
struct Layout {
	int type;
	uint64_t rows, cols;
	int64_t ld;
};
struct Heuristic {
	uint64_t algo[8];
	size_t workspace;
	int state;
	float waves;
	int reserved[4];
};

size_t width(int type) { return type == R_32F ? 4 : 2; }

bool known(int type) { return type == R_32F || type == R_16F || type == R_16BF; }

float load(const void* p, int type, size_t i) {
	switch (type) {
	case R_32F: return static_cast<const float*>(p)[i];
	case R_16F: return emu::half_to_float(static_cast<const uint16_t*>(p)[i]);
	default: return emu::bf16_to_float(static_cast<const uint16_t*>(p)[i]);
	}
}

void store(void* p, int type, size_t i, float v) {
	switch (type) {
	case R_32F: static_cast<float*>(p)[i] = v; break;
	case R_16F: static_cast<uint16_t*>(p)[i] = emu::float_to_half(v); break;
	default: static_cast<uint16_t*>(p)[i] = emu::float_to_bf16(v);
	}
}

// extent is the bytes from a matrix's first element to its last.
size_t extent(const Layout& l) { return ((l.cols - 1) * uint64_t(l.ld) + l.rows) * width(l.type); }

// lines brings a matrix to float, a line for each row of op(A) or column of op(B),
// the summed dimension inside.
std::vector<float> lines(const void* p, const Layout& l, bool columns) {
	size_t count = columns ? l.cols : l.rows, inner = columns ? l.rows : l.cols;
	std::vector<float> to(count * inner);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < inner; k++) to[i * inner + k] = load(p, l.type, columns ? i * size_t(l.ld) + k : k * size_t(l.ld) + i);
	return to;
}

struct MatMul {
	Desc desc;
	Layout la, lb, lc, ld;
	const void *a, *b, *c;
	void* d;
	float alpha, beta;

	bool valid() const {
		uint64_t m = desc.transa ? la.cols : la.rows, k = desc.transa ? la.rows : la.cols;
		uint64_t k2 = desc.transb ? lb.cols : lb.rows, n = desc.transb ? lb.rows : lb.cols;
		bool shapes = k == k2 && ld.rows == m && ld.cols == n && lc.rows == m && lc.cols == n && m && n && k;
		for (const Layout* l : {&la, &lb, &lc, &ld})
			if (!known(l->type) || l->ld < int64_t(l->rows)) return false;
		return shapes && la.type == lb.type && lc.type == ld.type;
	}

	bool readable() const {
		return fake::readable(a, extent(la)) && fake::readable(b, extent(lb)) && (beta == 0 || fake::readable(c, extent(lc))) &&
		       fake::readable(d, extent(ld)) &&
		       (desc.epilogue != EPILOGUE_BIAS || fake::readable(desc.bias, ld.rows * width(bias_type())));
	}

	int bias_type() const { return desc.bias_type < 0 ? ld.type : desc.bias_type; }

	int run() const {
		if (!readable()) return 700; // CUDA_ERROR_ILLEGAL_ADDRESS
		size_t m = ld.rows, n = ld.cols, k = desc.transa ? la.rows : la.cols;
		std::vector<float> x = lines(a, la, desc.transa == OP_T), y = lines(b, lb, desc.transb == OP_N);
		for (size_t j = 0; j < n; j++)
			for (size_t i = 0; i < m; i++) {
				float sums[8] = {}; // several, so that they are added in parallel
				const float *p = &x[i * k], *q = &y[j * k];
				size_t t = 0;
				for (; t + 8 <= k; t += 8)
					for (size_t s = 0; s < 8; s++) sums[s] += p[t + s] * q[t + s];
				float sum = 0;
				for (; t < k; t++) sum += p[t] * q[t];
				for (float s : sums) sum += s;
				sum *= alpha;
				if (beta != 0) sum += beta * load(c, lc.type, j * size_t(lc.ld) + i);
				if (desc.epilogue == EPILOGUE_BIAS) sum += load(desc.bias, bias_type(), i);
				store(d, ld.type, j * size_t(ld.ld) + i, sum);
			}
		return 0;
	}
};

} // namespace

API size_t cublasLtGetVersion() { return 130000; }

API int cublasLtCreate(void** handle) {
	if (fake::device_index() < 0) return 1; // NOT_INITIALIZED
	return *handle = new int(fake::device_index()), SUCCESS;
}
API int cublasLtDestroy(void* handle) { return delete static_cast<int*>(handle), SUCCESS; }

API int cublasLtMatmulDescCreate(Desc** desc, int compute, int scale) {
	if (compute != COMPUTE_32F || scale != R_32F) return NOT_SUPPORTED;
	return *desc = new Desc, SUCCESS;
}
API int cublasLtMatmulDescDestroy(Desc* desc) { return delete desc, SUCCESS; }

API int cublasLtMatmulDescSetAttribute(Desc* desc, int attribute, const void* value, size_t size) {
	auto set = [&](auto& to) {
		if (size != sizeof to) return INVALID_VALUE;
		memcpy(&to, value, size);
		return SUCCESS;
	};
	switch (attribute) {
	case TRANSA: return set(desc->transa);
	case TRANSB: return set(desc->transb);
	case EPILOGUE: return set(desc->epilogue);
	case BIAS_POINTER: return set(desc->bias);
	case BIAS_TYPE: return set(desc->bias_type);
	default: return NOT_SUPPORTED;
	}
}

API int cublasLtMatrixLayoutCreate(Layout** layout, int type, uint64_t rows, uint64_t cols, int64_t ld) {
	if (!rows || !cols || ld < int64_t(rows)) return INVALID_VALUE;
	return *layout = new Layout{type, rows, cols, ld}, SUCCESS;
}
API int cublasLtMatrixLayoutDestroy(Layout* layout) { return delete layout, SUCCESS; }

API int cublasLtMatmulPreferenceCreate(size_t** preference) { return *preference = new size_t(0), SUCCESS; }
API int cublasLtMatmulPreferenceDestroy(size_t* preference) { return delete preference, SUCCESS; }
API int cublasLtMatmulPreferenceSetAttribute(size_t* preference, int attribute, const void* value, size_t size) {
	if (attribute >= 5 && attribute <= 8) return size == sizeof(uint32_t) ? SUCCESS : INVALID_VALUE; // the matrices' alignment
	if (attribute != 1) return NOT_SUPPORTED; // the most workspace
	if (size != sizeof *preference) return INVALID_VALUE;
	return memcpy(preference, value, size), SUCCESS;
}

API int cublasLtMatmulAlgoGetHeuristic(void*, const Desc* desc, const Layout* a, const Layout* b, const Layout* c, const Layout* d, const size_t*,
                                       int wanted, Heuristic* results, int* found) {
	*found = 0;
	if (wanted < 1) return INVALID_VALUE;
	if (!MatMul{*desc, *a, *b, *c, *d, {}, {}, {}, {}, 1, 0}.valid()) return NOT_SUPPORTED;
	results[0] = {};
	results[0].waves = 1;
	return *found = 1, SUCCESS;
}

API int cublasLtMatmul(void*, const Desc* desc, const float* alpha, const void* a, const Layout* la, const void* b, const Layout* lb,
                       const float* beta, const void* c, const Layout* lc, void* d, const Layout* ld, const void*, void*, size_t, void* stream) {
	MatMul mul{*desc, *la, *lb, *lc, *ld, a, b, c, d, *alpha, *beta}; // copied: the call may change or destroy its own
	if (!mul.valid()) return INVALID_VALUE;
	return fake::enqueue(stream, "cublasLtMatmul", [mul] { return mul.run(); }) ? EXECUTION_FAILED : SUCCESS;
}

API const char* cublasLtGetStatusName(int status) {
	switch (status) {
	case SUCCESS: return "CUBLAS_STATUS_SUCCESS";
	case 1: return "CUBLAS_STATUS_NOT_INITIALIZED";
	case INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
	case EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
	case NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
	default: return "unknown";
	}
}
API const char* cublasLtGetStatusString(int status) { return cublasLtGetStatusName(status); }
