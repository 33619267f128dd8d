#ifndef REASOND_BLAS_H
#define REASOND_BLAS_H

// What is used of cuBLASLt (12 or 13). Its headers are not needed: these are the
// values and shapes that its documentation gives ("cuBLASLt Datatypes Reference").
//
//   cublasLtCreate(handle*)                        cublasLtDestroy(handle)
//   size_t cublasLtGetVersion(void)
//   cublasLtMatmulDescCreate(desc*, computeType, scaleType)
//   cublasLtMatmulDescSetAttribute(desc, attr, const void*, size_t)
//   cublasLtMatmulDescDestroy(desc)
//   cublasLtMatrixLayoutCreate(layout*, type, uint64 rows, uint64 cols, int64 ld)
//   cublasLtMatrixLayoutDestroy(layout)
//   cublasLtMatmulPreferenceCreate(pref*)
//   cublasLtMatmulPreferenceSetAttribute(pref, attr, const void*, size_t)
//   cublasLtMatmulPreferenceDestroy(pref)
//   cublasLtMatmulAlgoGetHeuristic(handle, desc, A, B, C, D, pref, int wanted,
//                                  result[wanted], int *found)
//   cublasLtMatmul(handle, desc, alpha*, A, Alayout, B, Blayout, beta*, C, Clayout,
//                  D, Dlayout, algo*, workspace, size_t, stream)
//   const char *cublasLtGetStatusName(status), cublasLtGetStatusString(status)
//
// Matrices are column-major there: y[m][n] = x[m][k] · w[n][k]ᵀ is D = Aᵀ·B with
// A = w (k × n), B = x (k × m), C = D = y (n × m). The bias has n elements of D's
// type.

#include <stddef.h>
#include <stdint.h>

enum {
	BLAS_R_32F = 0,
	BLAS_R_16BF = 14,
	BLAS_COMPUTE_32F = 68,
	BLAS_OP_N = 0,
	BLAS_OP_T = 1,

	BLAS_DESC_TRANSA = 3,
	BLAS_DESC_TRANSB = 4,
	BLAS_DESC_EPILOGUE = 7,
	BLAS_DESC_BIAS_POINTER = 8,

	BLAS_EPILOGUE_DEFAULT = 1,
	BLAS_EPILOGUE_BIAS = 4,

	BLAS_PREF_MAX_WORKSPACE_BYTES = 1,
	BLAS_PREF_MIN_ALIGNMENT_A_BYTES = 5, // and 6, 7, 8 for B, C and D
	BLAS_NOT_SUPPORTED = 15,
};

typedef struct {
	uint64_t data[8];
} blas_algo;

typedef struct {
	blas_algo algo;
	size_t workspace;
	int state; // 0: usable
	float waves;
	int reserved[4];
} blas_heuristic;

// reasond_blas is the library's functions and a handle for the current context.
typedef struct reasond_blas reasond_blas;

// reasond_blas_plan is one multiplication's shapes, types and algorithm.
typedef struct reasond_blas_plan reasond_blas_plan;

// reasond_blas_failure says which call failed; code 0: none did.
typedef struct {
	const char *call;
	int code;
	const char *name, *text; // the library's words, or 0
} reasond_blas_failure;

// reasond_blas_new takes the functions from a loaded library and makes a handle. 0:
// see failure; a missing function is code -1 with its name as the call.
reasond_blas *reasond_blas_new(void *lib, reasond_blas_failure *failure);
void reasond_blas_free(reasond_blas *b);
size_t reasond_blas_version(const reasond_blas *b);

// reasond_blas_plan_new asks for the best algorithm that needs at most so many
// bytes of workspace and addresses that are multiples of 16. Strides are in elements.
reasond_blas_plan *reasond_blas_plan_new(reasond_blas *b, int64_t m, int64_t n, int64_t k,
                                         int64_t x_stride, int64_t y_stride, int y_type, int bias,
                                         size_t workspace, reasond_blas_failure *failure);
void reasond_blas_plan_free(reasond_blas_plan *p);
size_t reasond_blas_plan_workspace(const reasond_blas_plan *p);

// reasond_blas_run enqueues y = x·wᵀ + beta·y (+ bias). It gives a status; call
// says of what.
int reasond_blas_run(reasond_blas_plan *p, uint64_t x, uint64_t w, uint64_t y, uint64_t bias,
                     float beta, uint64_t workspace, size_t size, uintptr_t stream);

// reasond_blas_explain fills a failure for a status of reasond_blas_run.
void reasond_blas_explain(const reasond_blas *b, const char *call, int code,
                          reasond_blas_failure *failure);

#endif
