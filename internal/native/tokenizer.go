package native

// #include "native.h"
import "C"

import (
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	daulet "github.com/daulet/tokenizers"
)

// A Tokenizer is a loaded tokenizer.json. It is safe for concurrent use.
//
// Its handle is daulet/tokenizers' own object, so that daulet's functions serve
// where they are safe. Its Encode cuts text at NUL and hides errors, and no
// function of it survives a panic: for those calls the library has its own.
type Tokenizer struct {
	h       *handle
	added   []AddedToken
	size    func() int // counts the vocabulary: the library copies all of it for that
	cleanup runtime.Cleanup
}

// An AddedToken is a token that is recognised in text before the model runs.
type AddedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	Special    bool   `json:"special"`     // left out by Decode with skipSpecial
	Normalized bool   `json:"normalized"`  // looked for in normalized text
	LStrip     bool   `json:"lstrip"`      // takes the white space before it
	RStrip     bool   `json:"rstrip"`      // takes the white space after it
	SingleWord bool   `json:"single_word"` // not recognised inside a word
}

// A Span is a range of bytes of a text.
type Span struct{ Start, End int }

// A TokenSpan is a token and the bytes of the text that it stands for.
type TokenSpan struct {
	ID int32
	Span
}

// NewTokenizer loads a tokenizer.json. Truncation and padding that the file asks
// for are turned off.
func NewTokenizer(data []byte) (*Tokenizer, error) {
	if err := fits("tokenizer", len(data), mostJSON); err != nil {
		return nil, err
	}
	var (
		out     C.native_buffer
		pointer unsafe.Pointer
	)
	bytes := (*C.uint8_t)(unsafe.SliceData(data))
	if _, err := result(C.native_tokenizer_new(bytes, C.size_t(len(data)), &pointer, &out), &out); err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	t := &Tokenizer{h: newHandle(pointer, freeTokenizer)}
	t.size = sync.OnceValue(t.count)
	t.cleanup = runtime.AddCleanup(t, (*handle).close, t.h)
	if err := t.describe(); err != nil {
		t.Close()
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return t, nil
}

func freeTokenizer(pointer unsafe.Pointer) { C.native_tokenizer_free(pointer) }

// describe reads the added tokens, which do not change.
func (t *Tokenizer) describe() error {
	return t.h.use(func(p unsafe.Pointer) error {
		var out C.native_buffer
		added, err := result(C.native_tokenizer_added(p, &out), &out)
		if err != nil {
			return err
		}
		return json.Unmarshal(added, &t.added)
	})
}

// asDaulet views a handle as daulet's tokenizer, which is a struct of just this
// pointer (a test holds it to that).
func asDaulet(pointer *unsafe.Pointer) *daulet.Tokenizer {
	return (*daulet.Tokenizer)(unsafe.Pointer(pointer))
}

// Close frees the tokenizer. Closing again does nothing.
func (t *Tokenizer) Close() error {
	t.cleanup.Stop()
	t.h.close()
	return nil
}

// Encode gives the tokens of a text, which must be UTF-8 and may hold NUL.
// addSpecial adds what the tokenizer's post-processor adds (a BOS token,
// usually). With matchAdded false no added token is recognised in the text: it
// is plain text throughout.
func (t *Tokenizer) Encode(text string, addSpecial, matchAdded bool) ([]int32, error) {
	var plain []Span
	if !matchAdded {
		plain = []Span{{0, len(text)}}
	}
	return t.EncodeSpans(text, addSpecial, plain)
}

// EncodeSpans encodes a text in whose plain spans no added token is recognised;
// the rest of the text is encoded as ever. Text around a span is encoded
// together with it, as if those tokens were not in the vocabulary. Spans
// increase, are disjoint and lie on character boundaries.
func (t *Tokenizer) EncodeSpans(text string, addSpecial bool, plain []Span) ([]int32, error) {
	data, err := t.encode(text, addSpecial, plain, false)
	if err != nil {
		return nil, err
	}
	return int32s(data), nil
}

// EncodeWithOffsets is EncodeSpans that also says which bytes of the text each
// token stands for. Tokens that the post-processor adds have an empty span.
func (t *Tokenizer) EncodeWithOffsets(text string, addSpecial bool, plain []Span) ([]TokenSpan, error) {
	data, err := t.encode(text, addSpecial, plain, true)
	if err != nil {
		return nil, err
	}
	rows := int32s(data)
	tokens := make([]TokenSpan, len(rows)/3)
	for i := range tokens {
		row := rows[3*i:]
		tokens[i] = TokenSpan{row[0], Span{int(row[1]), int(row[2])}}
	}
	return tokens, nil
}

func (t *Tokenizer) encode(s string, addSpecial bool, plain []Span, offsets bool) ([]byte, error) {
	if err := fits("text", len(s), mostText); err != nil {
		return nil, err
	}
	pairs := make([]C.uint64_t, 0, 2*len(plain))
	for _, span := range plain {
		if span.Start < 0 || span.End < span.Start {
			return nil, fmt.Errorf("encode: span %d..%d is no range", span.Start, span.End)
		}
		pairs = append(pairs, C.uint64_t(span.Start), C.uint64_t(span.End))
	}
	data, size := text(s)
	return t.call("encode", func(p unsafe.Pointer, out *C.native_buffer) C.int32_t {
		return C.native_tokenizer_encode(p, data, size, unsafe.SliceData(pairs), C.size_t(len(plain)),
			C.bool(addSpecial), C.bool(offsets), out)
	})
}

// Decode gives the text of tokens as the tokenizer's decoder does: bytes that
// are not UTF-8 become U+FFFD, ids out of range are left out, and so are special
// tokens with skipSpecial.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) (string, error) {
	if err := fits("token list", 4*len(ids), mostText); err != nil {
		return "", err
	}
	data := (*C.uint32_t)(unsafe.Pointer(unsafe.SliceData(ids)))
	bytes, err := t.call("decode", func(p unsafe.Pointer, out *C.native_buffer) C.int32_t {
		return C.native_tokenizer_decode(p, data, C.size_t(len(ids)), C.bool(skipSpecial), out)
	})
	return string(bytes), err
}

// IDToToken gives a token as the vocabulary spells it; ok is false where no
// token has the id.
func (t *Tokenizer) IDToToken(id int32) (token string, ok bool) {
	bytes, err := t.call("token", func(p unsafe.Pointer, out *C.native_buffer) C.int32_t {
		return C.native_tokenizer_token(p, C.uint32_t(id), out)
	})
	return string(bytes), err == nil
}

// TokenToID gives the id of a token as the vocabulary spells it.
func (t *Tokenizer) TokenToID(token string) (id int32, ok bool) {
	data, size := text(token)
	bytes, err := t.call("id", func(p unsafe.Pointer, out *C.native_buffer) C.int32_t {
		return C.native_tokenizer_id(p, data, size, out)
	})
	if err != nil {
		return 0, false
	}
	return int32s(bytes)[0], true
}

// VocabSize is the number of tokens, added ones included. Ids may be sparse: the
// greatest id can be larger. The first call takes milliseconds; 0 for a
// tokenizer that was closed before.
func (t *Tokenizer) VocabSize() int { return t.size() }

func (t *Tokenizer) count() (n int) {
	_ = t.h.use(func(p unsafe.Pointer) error {
		n = int(asDaulet(&p).VocabSize())
		return nil
	})
	return n
}

// AddedTokens are the added tokens in the order of their ids. The slice is
// shared: do not change it.
func (t *Tokenizer) AddedTokens() []AddedToken { return t.added }

// call runs a guarded function on the live handle.
func (t *Tokenizer) call(op string, f func(unsafe.Pointer, *C.native_buffer) C.int32_t) ([]byte, error) {
	var bytes []byte
	err := t.h.use(func(p unsafe.Pointer) (err error) {
		var out C.native_buffer
		status := f(p, &out)
		bytes, err = result(status, &out)
		return err
	})
	runtime.KeepAlive(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return bytes, nil
}

// int32s copies the library's 32-bit numbers out of their bytes.
func int32s(bytes []byte) []int32 {
	numbers := make([]int32, len(bytes)/4)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(numbers))), 4*len(numbers)), bytes)
	return numbers
}
