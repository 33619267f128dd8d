// The batch's arena as kernels see it; batch.go draws it.
#pragma once

// Words of the header: counts of what a step has.
constexpr int HEADER_ROWS = 0, HEADER_LOGITS = 2, HEADER_COPIES = 4, HEADER_NARROW = 6, HEADER_MERGES = 8;

// A sequence's words, and which of them is its table's first entry.
constexpr int SEQ_WORDS = 5, SEQ_TABLE = 4;

constexpr int PAGE = 32; // tokens of a page
