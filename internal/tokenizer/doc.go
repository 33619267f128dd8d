// Package tokenizer is text to ids and ids to text. A Tokenizer encodes
// prompts (the native library does the work); a Vocab is the table of each
// id's bytes, from which a Decoder makes text as ids come; a Matcher finds
// stop strings in it. Vocabularies come from a tokenizer.json or from a GGUF
// file's metadata.
//
// The package knows no chat, no request and no device.
package tokenizer
