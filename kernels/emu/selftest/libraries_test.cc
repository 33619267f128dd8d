// The fake cuBLASLt and NCCL.
#include <thread>

#include "../device/floats.h"
#include "rig.h"

extern "C" {
int cublasLtCreate(void**);
int cublasLtMatmulDescCreate(void**, int, int);
int cublasLtMatmulDescSetAttribute(void*, int, const void*, size_t);
int cublasLtMatrixLayoutCreate(void**, int, uint64_t, uint64_t, int64_t);
int cublasLtMatmul(void*, void*, const void*, const void*, void*, const void*, void*, const void*, const void*, void*, void*, void*, const void*,
                   void*, size_t, void*);
struct UniqueId {
	char bytes[128];
};
int ncclGetUniqueId(UniqueId*);
int ncclCommInitRank(void**, int, UniqueId, int);
int ncclCommDestroy(void*);
int ncclCommAbort(void*);
int ncclCommGetAsyncError(void*, int*);
int ncclAllReduce(const void*, void*, size_t, int, int, void*, void*);
int ncclAllGather(const void*, void*, size_t, int, void*, void*);
int ncclBroadcast(const void*, void*, size_t, int, int, void*, void*);
}

static void* at(Ptr p) { return reinterpret_cast<void*>(p); }

// y[m][n] = x[m][k] w[n][k]^T + beta y + bias, all row-major with rows that are
// further apart than they are long; small integers, so that every sum is exact.
TEST(matmul_of_the_linear_layer) {
	enum { M = 3, N = 5, K = 13, XS = 16, YS = 6, BF16 = 14, F32 = 0 };
	for (bool wide : {false, true})
		for (float beta : {0.0f, 1.0f})
			for (bool biased : {false, true}) {
				Rig r;
				std::vector<uint16_t> x(M * XS), w(N * K), y16(M * YS), b16(N);
				std::vector<float> y32(M * YS), b32(N), want(M * N);
				for (size_t i = 0; i < x.size(); i++) x[i] = emu::float_to_bf16(float(int(i * 7 % 9) - 4));
				for (size_t i = 0; i < w.size(); i++) w[i] = emu::float_to_bf16(float(int(i * 5 % 7) - 3));
				for (size_t i = 0; i < y32.size(); i++) y32[i] = float(i), y16[i] = emu::float_to_bf16(float(i));
				for (size_t i = 0; i < N; i++) b32[i] = float(i * 2), b16[i] = emu::float_to_bf16(b32[i]);
				for (size_t i = 0; i < M; i++)
					for (size_t j = 0; j < N; j++) {
						float s = beta * y32[i * YS + j] + (biased ? b32[j] : 0);
						for (size_t k = 0; k < K; k++) s += emu::bf16_to_float(x[i * XS + k]) * emu::bf16_to_float(w[j * K + k]);
						want[i * N + j] = s;
					}
				Ptr px, pw, py, pb;
				size_t size = wide ? 4 : 2;
				OK(cuMemAlloc_v2(&px, x.size() * 2));
				OK(cuMemAlloc_v2(&pw, w.size() * 2));
				OK(cuMemAlloc_v2(&py, y32.size() * size));
				OK(cuMemAlloc_v2(&pb, N * size));
				OK(cuMemcpyHtoD_v2(px, x.data(), x.size() * 2));
				OK(cuMemcpyHtoD_v2(pw, w.data(), w.size() * 2));
				OK(cuMemcpyHtoD_v2(py, wide ? (void*)y32.data() : y16.data(), y32.size() * size));
				OK(cuMemcpyHtoD_v2(pb, wide ? (void*)b32.data() : b16.data(), N * size));

				void *handle, *desc, *lx, *lw, *ly;
				int transpose = 1;
				unsigned epilogue = 4;
				float one = 1;
				OK(cublasLtCreate(&handle));
				OK(cublasLtMatmulDescCreate(&desc, 68, F32));
				OK(cublasLtMatmulDescSetAttribute(desc, 3, &transpose, 4));
				if (biased) {
					OK(cublasLtMatmulDescSetAttribute(desc, 7, &epilogue, 4));
					OK(cublasLtMatmulDescSetAttribute(desc, 8, &pb, 8));
				}
				OK(cublasLtMatrixLayoutCreate(&lw, BF16, K, N, K));
				OK(cublasLtMatrixLayoutCreate(&lx, BF16, K, M, XS));
				OK(cublasLtMatrixLayoutCreate(&ly, wide ? F32 : BF16, N, M, YS));
				OK(cublasLtMatmul(handle, desc, &one, at(pw), lw, at(px), lx, &beta, at(py), ly, at(py), ly, nullptr, nullptr, 0, r.stream));
				OK(cuStreamSynchronize(r.stream));
				OK(cuMemcpyDtoH_v2(wide ? (void*)y32.data() : y16.data(), py, y32.size() * size));
				for (size_t i = 0; i < M; i++)
					for (size_t j = 0; j < N; j++) {
						float got = wide ? y32[i * YS + j] : emu::bf16_to_float(y16[i * YS + j]);
						float should = wide ? want[i * N + j] : emu::bf16_to_float(emu::float_to_bf16(want[i * N + j]));
						CHECK(got == should, "[%zu][%zu] = %g, not %g", i, j, double(got), double(should));
					}
				CHECK(y32[N] == N && (wide || emu::bf16_to_float(y16[N]) == N)); // between rows nothing is written
				CHECK(contains(counters(), "\"cublasLtMatmul\":1"));
			}
}

// ranks runs f(rig, communicator, rank) on a thread for each of two devices.
template <class F> static void ranks(F f) {
	UniqueId id;
	OK(ncclGetUniqueId(&id));
	std::vector<std::thread> threads;
	for (int rank = 0; rank < 2; rank++)
		threads.emplace_back([=] {
			Rig r(rank);
			void* comm = nullptr;
			OK(ncclCommInitRank(&comm, 2, id, rank));
			f(r, comm, rank);
		});
	for (auto& t : threads) t.join();
}

TEST(all_reduce_gather_and_broadcast) {
	ranks([](Rig& r, void* comm, int rank) {
		Ptr x = r.floats({1.0f + float(rank), 10.0f + float(rank)}), both = r.floats({0, 0, 0, 0});
		OK(ncclAllReduce(at(x), at(x), 2, 7, 0, comm, r.stream));
		OK(ncclAllGather(at(x), at(both), 2, 7, comm, r.stream));
		OK(cuStreamSynchronize(r.stream));
		CHECK(r.read(x) == 3 && r.read(x + 4) == 21);
		CHECK(r.read(both) == 3 && r.read(both + 8) == 3);
		Ptr y = r.floats({float(rank)});
		OK(ncclBroadcast(at(y), at(y), 1, 7, 1, comm, r.stream));
		OK(cuStreamSynchronize(r.stream));
		CHECK(r.read(y) == 1);
		OK(ncclCommDestroy(comm));
	});
}

TEST(all_reduce_in_a_graph_with_one_rank_waited_for) {
	std::atomic<bool> served{false};
	ranks([&](Rig& r, void* comm, int rank) {
		Ptr x = r.floats({1.0f + float(rank)});
		void *graph, *exec;
		OK(cuStreamBeginCapture_v2(r.stream, 1));
		OK(ncclAllReduce(at(x), at(x), 1, 7, 0, comm, r.stream));
		OK(cuStreamEndCapture(r.stream, &graph));
		OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
		for (int i = 0; i < 3; i++) {
			OK(cuGraphLaunch(exec, r.stream));
			if (rank == 0) OK(cuStreamSynchronize(r.stream));
		}
		if (rank == 0) served = true;
		while (!served) std::this_thread::yield(); // rank 1 works on without being asked
		OK(cuStreamSynchronize(r.stream));
		CHECK(r.read(x) == 12);
		OK(ncclCommDestroy(comm));
	});
}

TEST(an_abort_frees_a_rank_that_waits) {
	std::vector<void*> comms(2);
	ranks([&](Rig& r, void* comm, int rank) {
		if (rank == 1) return void(comms[1] = comm);
		Ptr x = r.floats({1});
		OK(ncclAllReduce(at(x), at(x), 1, 7, 0, comm, r.stream));
		while (cuStreamQuery(r.stream) == 600) {
			if (!comm) continue;
			OK(ncclCommAbort(comm));
			comm = nullptr;
		}
	});
	int trouble = 0;
	OK(ncclCommGetAsyncError(comms[1], &trouble));
	CHECK(trouble != 0);
	OK(ncclCommAbort(comms[1]));
}

TEST(ranks_that_disagree_are_told) {
	ranks([](Rig& r, void* comm, int rank) {
		Ptr x = r.floats({1, 2});
		OK(ncclAllReduce(at(x), at(x), size_t(1 + rank), 7, 0, comm, r.stream));
		CHECK(cuStreamSynchronize(r.stream) == 719);
		OK(cuDevicePrimaryCtxReset_v2(rank));
		OK(ncclCommAbort(comm));
	});
}
