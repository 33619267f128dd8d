//! Everything native that is not a kernel, behind one C interface: tokenizers,
//! chat templates, grammars.
//!
//! Every `native_*` export runs inside [`abi::guard`]: it returns a status, a
//! panic included, and takes and gives buffers with their length.

#![feature(alloc_error_hook)]

// Keeps the tokenizers_* symbols that the Go package of daulet/tokenizers binds.
extern crate daulet;

mod abi;
mod budget;
mod deep;
mod grammar;
mod template;
mod tokenizer;
