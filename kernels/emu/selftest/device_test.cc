// The device's instructions, held against plain loops and the formats' definitions.
#include "../cuda_emu.h"
#include "../run.h"
#include "selftest.h"

#define KERNEL(name) extern "C" const emu::Kernel name##__emu;
KERNEL(halves) KERNEL(votes) KERNEL(early) KERNEL(sums) KERNEL(multiply_bf16) KERNEL(multiply_f16) KERNEL(transposed)

static const char* const order_names[] = {"forward", "reverse", "seed:5"};

template <class F> static void in_every_order(F f) {
	for (const char* name : order_names) {
		emu::Order o;
		emu::parse_order(name, &o);
		f(o);
	}
}

TEST(shuffles_of_diverged_masks) {
	in_every_order([](emu::Order order) {
		std::vector<int> out(64);
		auto o = emu::try_kernel(halves__emu, {1}, {64}, 0, order, out.data());
		CHECK(o.fault == emu::Fault::none, "%s", o.text.c_str());
		for (int t = 0; t < 64; t++) {
			auto value = [](int lane) {
				if (lane < 16) return (lane ^ 7) + 3;
				auto down = [](int l) { return l < 31 ? l + 1 : l; };
				return down(lane) + down(lane - 16 >= 2 ? lane - 2 : lane);
			};
			int lane = t & 31, want = value(lane) + value(31 - lane);
			CHECK(out[size_t(t)] == want, "thread %d: %d, not %d", t, out[size_t(t)], want);
		}
	});
}

TEST(votes_and_reductions) {
	int in[32];
	for (int i = 0; i < 32; i++) in[i] = i * 5 % 17 - 2;
	unsigned ballot = 0, x = 0;
	int all = 1, any = 0, sum = 0, least = in[0], most = in[0];
	for (int i = 0; i < 32; i++) {
		ballot |= unsigned(in[i] & 1) << i, x ^= unsigned(in[i]);
		all &= in[i] > 0, any |= in[i] == 7, sum += in[i], least = std::min(least, in[i]), most = std::max(most, in[i]);
	}
	in_every_order([&](emu::Order order) {
		int out[32][8];
		emu::try_kernel(votes__emu, {1}, {32}, 0, order, (const int*)in, (int*)out);
		for (int i = 0; i < 32; i++) {
			unsigned match = 0;
			for (int j = 0; j < 32; j++) match |= unsigned((in[i] & 3) == (in[j] & 3)) << j;
			int want[8] = {int(ballot), all, any, int(match), sum, least, most, int(x)};
			for (int k = 0; k < 8; k++) CHECK(out[i][k] == want[k], "lane %d result %d: %d, not %d", i, k, out[i][k], want[k]);
		}
	});
}

TEST(lanes_that_returned_are_not_waited_for) {
	in_every_order([](emu::Order order) {
		int out[32] = {};
		auto o = emu::try_kernel(early__emu, {1}, {32}, 0, order, (int*)out);
		CHECK(o.fault == emu::Fault::none && out[0] == out[19], "%s", o.text.c_str());
		CHECK(out[0] == 20);
	});
}

TEST(block_reductions) {
	std::vector<float> in(4 * 96), out(12);
	for (size_t i = 0; i < in.size(); i++) in[i] = float(int(i * 7 % 31) - 15);
	in_every_order([&](emu::Order order) {
		emu::try_kernel(sums__emu, {4}, {96}, 0, order, (const float*)in.data(), out.data());
		for (size_t b = 0; b < 4; b++) {
			float sum = 0, most = -1e30f, count = 0;
			for (size_t i = 96 * b; i < 96 * (b + 1); i++) sum += in[i], most = std::max(most, in[i]), count += in[i] > 0;
			CHECK(out[3 * b] == sum && out[3 * b + 1] == most && out[3 * b + 2] == count);
		}
	});
}

// Small integers are exact in every step, so the comparison is too.
template <class Narrow> static void check_mma(const emu::Kernel& k, Narrow narrow) {
	uint16_t a[16][16], b[8][16];
	float d[16][8], want[16][8];
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < 16; j++) a[i][j] = narrow(float((i * 5 + j * 3) % 11 - 5));
	for (int i = 0; i < 8; i++)
		for (int j = 0; j < 16; j++) b[i][j] = narrow(float((i * 7 + j * 2) % 13 - 6));
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < 8; j++) {
			want[i][j] = d[i][j] = float(i - j);
			for (int t = 0; t < 16; t++) want[i][j] += float(((i * 5 + t * 3) % 11 - 5) * ((j * 7 + t * 2) % 13 - 6));
		}
	auto o = emu::try_kernel(k, {1}, {32}, 0, {}, (const uint16_t*)a, (const uint16_t*)b, (float*)d);
	CHECK(o.fault == emu::Fault::none, "%s", o.text.c_str());
	CHECK(!memcmp(d, want, sizeof d));
}

TEST(mma_with_ldmatrix_multiplies) {
	check_mma(multiply_bf16__emu, emu::float_to_bf16);
	check_mma(multiply_f16__emu, emu::float_to_half);
}

TEST(ldmatrix_trans_gives_columns) {
	uint16_t in[4][8][8];
	uint32_t out[32][4];
	for (int i = 0; i < 256; i++) (&in[0][0][0])[i] = uint16_t(i * 3);
	emu::try_kernel(transposed__emu, {1}, {32}, 0, {}, (const uint16_t*)in, (uint32_t*)out);
	for (int lane = 0; lane < 32; lane++)
		for (int m = 0; m < 4; m++) {
			int col = lane / 4, row = lane % 4 * 2;
			CHECK(out[lane][m] == (uint32_t(in[m][row][col]) | uint32_t(in[m][row + 1][col]) << 16), "lane %d matrix %d", lane, m);
		}
}

// A rounding to nearest, ties to even, is one whose result no other code is nearer
// to: tried at every code's value, between neighbours, and a little beside.
template <class Code, class Widen, class Narrow> static void check_rounding(int finite, Widen widen, Narrow narrow) {
	for (int c = 0; c < finite; c++) {
		float v = widen(Code(c));
		CHECK(narrow(v) == Code(c), "code %d", c);
		if (c + 1 == finite) break;
		float next = widen(Code(c + 1));
		double half = (double(v) + next) / 2;
		CHECK(next > v, "code %d", c);
		CHECK(narrow(float(half)) == Code(c % 2 ? c + 1 : c), "between %d and its next", c);
		CHECK(narrow(std::nextafterf(float(half), 0)) == Code(c) || float(half) == v, "below the middle after %d", c);
		CHECK(narrow(std::nextafterf(float(half), INFINITY)) == Code(c + 1), "above the middle after %d", c);
		Code sign = Code(1 << (8 * sizeof(Code) - 1));
		CHECK(widen(Code(c | sign)) == -v && narrow(-v) == Code(c | sign), "minus %d", c);
	}
}

TEST(half_rounds_to_nearest_even) {
	check_rounding<uint16_t>(0x7C00, emu::half_to_float, emu::float_to_half);
	CHECK(emu::float_to_half(65519.0f) == 0x7BFF && emu::float_to_half(65520.0f) == 0x7C00 && emu::float_to_half(INFINITY) == 0x7C00);
	CHECK(emu::half_to_float(0x3C00) == 1 && emu::half_to_float(0x7C00) == INFINITY && std::isnan(emu::half_to_float(0x7E00)));
	CHECK(emu::half_to_float(1) == 0x1p-24f && emu::half_to_float(0x7BFF) == 65504);
	CHECK(std::isnan(emu::half_to_float(emu::float_to_half(NAN))));
}

TEST(bf16_rounds_to_nearest_even) {
	check_rounding<uint16_t>(0x7F80, emu::bf16_to_float, emu::float_to_bf16);
	CHECK(emu::float_to_bf16(1.0f) == 0x3F80 && std::isnan(emu::bf16_to_float(emu::float_to_bf16(NAN))));
}

// OCP 8-bit Floating Point Specification, E4M3: 448 the greatest, 2^-9 the least.
TEST(e4m3_rounds_to_nearest_even) {
	check_rounding<uint8_t>(0x7F, emu::e4m3_to_float, emu::float_to_e4m3);
	CHECK(emu::e4m3_to_float(0x38) == 1 && emu::e4m3_to_float(0x7E) == 448 && emu::e4m3_to_float(1) == 0x1p-9f);
	CHECK(std::isnan(emu::e4m3_to_float(0x7F)) && std::isnan(emu::e4m3_to_float(0xFF)));
	CHECK(emu::float_to_e4m3(1e9f) == 0x7E && emu::float_to_e4m3(-1e9f) == 0xFE && emu::float_to_e4m3(NAN) == 0x7F);
}

TEST(integer_instructions) {
	CHECK(__byte_perm(0x33221100, 0x77665544, 0x7250) == 0x77225500);
	CHECK(__byte_perm(0x80000000, 0, 0xB) == 0xFF);
	CHECK(lop3<0xEA>(0xF0, 0xCC, 0xAA) == ((0xF0 & 0xCC) | 0xAA));
	CHECK(lop3<0x96>(0x12345678, 0x9ABCDEF0, 0x0F0F0F0F) == (0x12345678 ^ 0x9ABCDEF0 ^ 0x0F0F0F0F));
	CHECK(__dp4a(int(0x01FF7F80), int(0x02020202), 10) == 10 + 2 * (1 - 1 + 127 - 128));
	CHECK(__dp4a(0x01FF7F80u, 0x02020202u, 10u) == 10 + 2 * (1 + 255 + 127 + 128));
	CHECK(__umulhi(0xFFFFFFFF, 0xFFFFFFFF) == 0xFFFFFFFE && __mulhi(-2, 3) == -1);
	CHECK(__brev(1) == 0x80000000 && __clz(0) == 32 && __clz(1) == 31 && __ffs(8) == 4 && __popc(0xF0F0) == 8);
	CHECK(__funnelshift_l(0x80000000, 1, 1) == 3 && __funnelshift_r(1, 1, 1) == 0x80000000);
	CHECK(__vsubss4(0x80, 0x01) == 0x80 && __vadd4(0x01FF, 0x0101) == 0x0200);
}

TEST(atomics_give_the_old_value) {
	unsigned u = 5;
	float f = 1;
	CHECK(atomicAdd(&u, 3) == 5 && u == 8 && atomicMax(&u, 2) == 8 && u == 8 && atomicMin(&u, 2) == 8 && u == 2);
	CHECK(atomicCAS(&u, 2, 9) == 2 && u == 9 && atomicCAS(&u, 2, 1) == 9 && u == 9 && atomicExch(&u, 4) == 9);
	CHECK(atomicInc(&u, 4) == 4 && u == 0 && atomicDec(&u, 7) == 0 && u == 7);
	CHECK(atomicAdd(&f, 2) == 1 && f == 3);
}
