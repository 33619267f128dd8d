// Package openai holds the wire types of the OpenAI dialect: requests decoded
// and validated, answers, stream chunks and the error body as they are written.
// It knows no HTTP and no engine and imports only the standard library.
//
// Decoding is strict where encoding/json is lax: member names match exactly,
// a member given twice is an error, strings are valid Unicode (no lone
// surrogate, no invalid UTF-8), nesting is at most MaxDepth, every number has a
// range. A member that the dialect or a peer knows but that is not built here
// is an error with code "unsupported", unless its value asks for nothing; a
// name that nobody knows is an error too, so that a typing error is not silent.
package openai
