//go:build cuda && cgo && linux

#include "blas.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

struct reasond_blas {
	void *handle;
	size_t (*version)(void);
	int (*create)(void **);
	int (*destroy)(void *);
	int (*desc_create)(void **, int compute, int scale);
	int (*desc_set)(void *, int attr, const void *, size_t);
	int (*desc_destroy)(void *);
	int (*layout_create)(void **, int type, uint64_t rows, uint64_t cols, int64_t ld);
	int (*layout_destroy)(void *);
	int (*pref_create)(void **);
	int (*pref_set)(void *, int attr, const void *, size_t);
	int (*pref_destroy)(void *);
	int (*heuristic)(void *, void *, void *, void *, void *, void *, void *, int, blas_heuristic *,
	                 int *);
	int (*matmul)(void *, void *, const void *alpha, const void *a, void *a_layout, const void *b,
	              void *b_layout, const void *beta, const void *c, void *c_layout, void *d,
	              void *d_layout, const blas_algo *, void *workspace, size_t, void *stream);
	const char *(*status_name)(int);
	const char *(*status_text)(int);
};

struct reasond_blas_plan {
	reasond_blas *blas;
	void *desc, *x, *w, *y;
	int bias;
	blas_heuristic best;
};

void reasond_blas_explain(const reasond_blas *b, const char *call, int code,
                          reasond_blas_failure *failure)
{
	failure->call = call;
	failure->code = code;
	failure->name = b && b->status_name ? b->status_name(code) : 0;
	failure->text = b && b->status_text ? b->status_text(code) : 0;
}

reasond_blas *reasond_blas_new(void *lib, reasond_blas_failure *failure)
{
	reasond_blas *b = calloc(1, sizeof *b);
	const struct {
		const char *name;
		void *to;
	} symbols[] = {
	        {"cublasLtGetVersion", &b->version},
	        {"cublasLtCreate", &b->create},
	        {"cublasLtDestroy", &b->destroy},
	        {"cublasLtMatmulDescCreate", &b->desc_create},
	        {"cublasLtMatmulDescSetAttribute", &b->desc_set},
	        {"cublasLtMatmulDescDestroy", &b->desc_destroy},
	        {"cublasLtMatrixLayoutCreate", &b->layout_create},
	        {"cublasLtMatrixLayoutDestroy", &b->layout_destroy},
	        {"cublasLtMatmulPreferenceCreate", &b->pref_create},
	        {"cublasLtMatmulPreferenceSetAttribute", &b->pref_set},
	        {"cublasLtMatmulPreferenceDestroy", &b->pref_destroy},
	        {"cublasLtMatmulAlgoGetHeuristic", &b->heuristic},
	        {"cublasLtMatmul", &b->matmul},
	};
	memset(failure, 0, sizeof *failure);
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		void *found = dlsym(lib, symbols[i].name);
		if (!found) {
			failure->call = symbols[i].name;
			failure->code = -1;
			free(b);
			return 0;
		}
		memcpy(symbols[i].to, &found, sizeof found);
	}
	b->status_name = (const char *(*)(int))dlsym(lib, "cublasLtGetStatusName");
	b->status_text = (const char *(*)(int))dlsym(lib, "cublasLtGetStatusString");
	int code = b->create(&b->handle);
	if (code) {
		reasond_blas_explain(b, "cublasLtCreate", code, failure);
		free(b);
		return 0;
	}
	return b;
}

void reasond_blas_free(reasond_blas *b)
{
	b->destroy(b->handle);
	free(b);
}

size_t reasond_blas_version(const reasond_blas *b) { return b->version(); }

#define TRY(name, call)                                                                            \
	do {                                                                                           \
		int code = (call);                                                                         \
		if (code) {                                                                                \
			reasond_blas_explain(b, name, code, failure);                                          \
			return code;                                                                           \
		}                                                                                          \
	} while (0)

static int describe(reasond_blas *b, reasond_blas_plan *p, int64_t m, int64_t n, int64_t k,
                    int64_t x_stride, int64_t y_stride, int y_type, reasond_blas_failure *failure)
{
	const int32_t transpose = BLAS_OP_T, keep = BLAS_OP_N;
	const uint32_t epilogue = p->bias ? BLAS_EPILOGUE_BIAS : BLAS_EPILOGUE_DEFAULT;
	TRY("cublasLtMatmulDescCreate", b->desc_create(&p->desc, BLAS_COMPUTE_32F, BLAS_R_32F));
	TRY("cublasLtMatmulDescSetAttribute(TRANSA)",
	    b->desc_set(p->desc, BLAS_DESC_TRANSA, &transpose, sizeof transpose));
	TRY("cublasLtMatmulDescSetAttribute(TRANSB)",
	    b->desc_set(p->desc, BLAS_DESC_TRANSB, &keep, sizeof keep));
	TRY("cublasLtMatmulDescSetAttribute(EPILOGUE)",
	    b->desc_set(p->desc, BLAS_DESC_EPILOGUE, &epilogue, sizeof epilogue));
	TRY("cublasLtMatrixLayoutCreate(w)", b->layout_create(&p->w, BLAS_R_16BF, k, n, k));
	TRY("cublasLtMatrixLayoutCreate(x)", b->layout_create(&p->x, BLAS_R_16BF, k, m, x_stride));
	TRY("cublasLtMatrixLayoutCreate(y)", b->layout_create(&p->y, y_type, n, m, y_stride));
	return 0;
}

static int choose(reasond_blas *b, reasond_blas_plan *p, void *pref, size_t workspace,
                  reasond_blas_failure *failure)
{
	const uint32_t alignment = 16;
	int found = 0;
	TRY("cublasLtMatmulPreferenceSetAttribute(MAX_WORKSPACE_BYTES)",
	    b->pref_set(pref, BLAS_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace));
	for (int matrix = 0; matrix < 4; matrix++)
		TRY("cublasLtMatmulPreferenceSetAttribute(MIN_ALIGNMENT)",
		    b->pref_set(pref, BLAS_PREF_MIN_ALIGNMENT_A_BYTES + matrix, &alignment, sizeof alignment));
	TRY("cublasLtMatmulAlgoGetHeuristic", b->heuristic(b->handle, p->desc, p->w, p->x, p->y, p->y,
	                                                   pref, 1, &p->best, &found));
	TRY("cublasLtMatmulAlgoGetHeuristic",
	    found < 1 ? BLAS_NOT_SUPPORTED : p->best.state);
	return 0;
}

reasond_blas_plan *reasond_blas_plan_new(reasond_blas *b, int64_t m, int64_t n, int64_t k,
                                         int64_t x_stride, int64_t y_stride, int y_type, int bias,
                                         size_t workspace, reasond_blas_failure *failure)
{
	reasond_blas_plan *p = calloc(1, sizeof *p);
	void *pref = 0;
	memset(failure, 0, sizeof *failure);
	p->blas = b;
	p->bias = bias;
	int code = describe(b, p, m, n, k, x_stride, y_stride, y_type, failure);
	if (!code) {
		code = b->pref_create(&pref);
		if (code)
			reasond_blas_explain(b, "cublasLtMatmulPreferenceCreate", code, failure);
	}
	if (!code)
		code = choose(b, p, pref, workspace, failure);
	if (pref)
		b->pref_destroy(pref);
	if (code) {
		reasond_blas_plan_free(p);
		return 0;
	}
	return p;
}

void reasond_blas_plan_free(reasond_blas_plan *p)
{
	void *layouts[] = {p->x, p->w, p->y};
	for (int i = 0; i < 3; i++)
		if (layouts[i])
			p->blas->layout_destroy(layouts[i]);
	if (p->desc)
		p->blas->desc_destroy(p->desc);
	free(p);
}

size_t reasond_blas_plan_workspace(const reasond_blas_plan *p) { return p->best.workspace; }

int reasond_blas_run(reasond_blas_plan *p, uint64_t x, uint64_t w, uint64_t y, uint64_t bias,
                     float beta, uint64_t workspace, size_t size, uintptr_t stream)
{
	const float one = 1;
	reasond_blas *b = p->blas;
	if (p->bias) {
		const void *at = (const void *)(uintptr_t)bias;
		int code = b->desc_set(p->desc, BLAS_DESC_BIAS_POINTER, &at, sizeof at);
		if (code)
			return code;
	}
	return b->matmul(b->handle, p->desc, &one, (const void *)(uintptr_t)w, p->w,
	                 (const void *)(uintptr_t)x, p->x, &beta, (const void *)(uintptr_t)y, p->y,
	                 (void *)(uintptr_t)y, p->y, &p->best.algo, (void *)(uintptr_t)workspace, size,
	                 (void *)stream);
}
