//! Grammars: llguidance.

use crate::abi::{guard, Buffer};
use std::ffi::CStr;

/// The version of llguidance in this library.
///
/// # Safety
/// As [`guard`].
#[no_mangle]
pub unsafe extern "C" fn native_grammar_version(out: *mut Buffer) -> i32 {
    guard(out, || {
        // SAFETY: llg_get_version returns a static string that ends in NUL.
        let version = CStr::from_ptr(llguidance::ffi::llg_get_version());
        Ok(version.to_bytes().to_vec())
    })
}
