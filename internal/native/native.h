// The C interface of the Rust library in rust/: see the exports there for the
// contracts. Every function that returns a status puts its result, or the text
// of its error, into *out, to be given back with native_buffer_free.

#ifndef REASOND_NATIVE_H
#define REASOND_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum native_status {
	NATIVE_OK = 0,
	NATIVE_FAILED = 1,
	NATIVE_PANICKED = 2,
	NATIVE_OVER_LIMIT = 3,
	NATIVE_RAISED = 4,
};

typedef struct {
	uint8_t *data; // NULL when len is 0
	size_t len;
} native_buffer;

void native_buffer_free(native_buffer buffer);
int32_t native_panic(const uint8_t *text, size_t len, native_buffer *out);
int32_t native_grammar_version(native_buffer *out);

// Grammars.
int32_t native_trie_new(const uint8_t *data, const uint32_t *ends, const uint8_t *control, size_t count,
	const uint32_t *eos, size_t eos_count, const void *tokenizer, void **handle, native_buffer *out);
void native_trie_free(void *handle);
int32_t native_grammar_new(const void *trie, uint8_t kind, const uint8_t *source, size_t len, void **handle,
	native_buffer *out);
int32_t native_matcher_new(const void *grammar, void **handle, native_buffer *out);
void native_matcher_free(void *handle);
int32_t native_matcher_mask(void *matcher, uint32_t *dst, size_t words, native_buffer *out);
int32_t native_matcher_accept(void *matcher, const uint32_t *ids, size_t count, uint32_t *state, native_buffer *out);

// Tokenizers.
int32_t native_tokenizer_new(const uint8_t *json, size_t len, void **handle, native_buffer *out);
void native_tokenizer_free(void *handle);
int32_t native_tokenizer_encode(const void *handle, const uint8_t *text, size_t len, const uint64_t *plain,
	size_t spans, bool add_special, bool offsets, native_buffer *out);
int32_t native_tokenizer_decode(const void *handle, const uint32_t *ids, size_t count, bool skip_special,
	native_buffer *out);
int32_t native_tokenizer_token(const void *handle, uint32_t id, native_buffer *out);
int32_t native_tokenizer_id(const void *handle, const uint8_t *token, size_t len, native_buffer *out);
int32_t native_tokenizer_added(const void *handle, native_buffer *out);

// Chat templates.
typedef struct {
	uint64_t steps;
	uint64_t depth;
	uint64_t output;
	uint64_t memory;
	uint64_t time;
	uint64_t source;
} native_limits;

int32_t native_template_new(const uint8_t *source, size_t len, const native_limits *limits, void **handle,
	native_buffer *out);
void native_template_free(void *handle);
int32_t native_template_render(const void *handle, const uint8_t *context, size_t len, int64_t unix_seconds,
	int32_t zone_seconds, native_buffer *out);

#endif
