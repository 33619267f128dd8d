//! Tokenizers: guarded, length-delimited calls on daulet/tokenizers' own handle.
//!
//! The handle is the very object that daulet's `tokenizers_*` functions take, so
//! that its Go package can be used on it where its functions are safe. Those cut
//! text at NUL, drop errors and let panics abort the process; these do not.

mod encode;
mod load;

use crate::abi::{borrow, borrow_text, caught, guard, Buffer, Failure};
use daulet::UnifiedTokenizer;
use serde_json::json;
use std::ffi::c_void;
use tokenizers::Tokenizer;

/// Loads a tokenizer.json. Truncation and padding that it may ask for are
/// turned off: they belong to training batches. On success `*handle` is set.
///
/// # Safety
/// As [`borrow`] and [`guard`]; `handle` is writable.
#[no_mangle]
pub unsafe extern "C" fn native_tokenizer_new(
    bytes: *const u8,
    len: usize,
    handle: *mut *mut c_void,
    out: *mut Buffer,
) -> i32 {
    guard(out, || {
        let mut tokenizer = load::tokenizer(borrow(bytes, len)).map_err(|e| e.to_string())?;
        tokenizer.with_truncation(None).map_err(|e| e.to_string())?;
        tokenizer.with_padding(None);
        *handle = Box::into_raw(Box::new(UnifiedTokenizer::HuggingFace(tokenizer))).cast();
        Ok(vec![])
    })
}

/// # Safety
/// `handle` comes from [`native_tokenizer_new`], is given back once, and is in
/// no call.
#[no_mangle]
pub unsafe extern "C" fn native_tokenizer_free(handle: *mut c_void) {
    let _ = caught(|| {
        drop(Box::from_raw(handle.cast::<UnifiedTokenizer>()));
        Ok(())
    });
}

pub(crate) unsafe fn borrow_tokenizer<'a>(handle: *const c_void) -> Result<&'a Tokenizer, Failure> {
    match handle.cast::<UnifiedTokenizer>().as_ref() {
        Some(UnifiedTokenizer::HuggingFace(tokenizer)) => Ok(tokenizer),
        Some(UnifiedTokenizer::Tiktoken(..)) => Err("not a tokenizer.json".into()),
        None => Err("no tokenizer".into()),
    }
}

/// Encodes text. `plain` holds `spans` pairs of byte offsets, increasing and
/// disjoint: text in which no added token is recognised. Gives one `u32` for
/// each token, or with `offsets` three: id, start and end byte.
///
/// # Safety
/// As [`borrow`] and [`guard`]; `handle` is a live tokenizer.
#[no_mangle]
pub unsafe extern "C" fn native_tokenizer_encode(
    handle: *const c_void,
    text: *const u8,
    len: usize,
    plain: *const u64,
    spans: usize,
    add_special: bool,
    offsets: bool,
    out: *mut Buffer,
) -> i32 {
    guard(out, || {
        let spans = encode::spans(borrow(plain, 2 * spans));
        let call = encode::Call { text: borrow_text(text, len)?, plain: &spans, add_special, offsets };
        let encoding = call.run(borrow_tokenizer(handle)?)?;
        let ids = encoding.get_ids();
        Ok(if offsets {
            let rows = ids.iter().zip(encoding.get_offsets());
            bytes(rows.flat_map(|(id, (start, end))| [*id, *start as u32, *end as u32]))
        } else {
            bytes(ids.iter().copied())
        })
    })
}

fn bytes(numbers: impl Iterator<Item = u32>) -> Vec<u8> {
    numbers.flat_map(u32::to_ne_bytes).collect()
}

/// Decodes ids to text, as Python's `decode` does (ids out of range are left out).
///
/// # Safety
/// As [`borrow`] and [`guard`]; `handle` is a live tokenizer.
#[no_mangle]
pub unsafe extern "C" fn native_tokenizer_decode(
    handle: *const c_void,
    ids: *const u32,
    count: usize,
    skip_special: bool,
    out: *mut Buffer,
) -> i32 {
    guard(out, || {
        let text = borrow_tokenizer(handle)?.decode(borrow(ids, count), skip_special);
        Ok(text.map_err(|e| e.to_string())?.into_bytes())
    })
}

/// Gives the token of an id; status Failed where there is none.
///
/// # Safety
/// As [`guard`]; `handle` is a live tokenizer.
#[no_mangle]
pub unsafe extern "C" fn native_tokenizer_token(handle: *const c_void, id: u32, out: *mut Buffer) -> i32 {
    guard(out, || match borrow_tokenizer(handle)?.id_to_token(id) {
        Some(token) => Ok(token.into_bytes()),
        None => Err(format!("no token has id {id}").into()),
    })
}

/// Gives the id of a token as one `u32`; status Failed where there is none.
///
/// # Safety
/// As [`borrow`] and [`guard`]; `handle` is a live tokenizer.
#[no_mangle]
pub unsafe extern "C" fn native_tokenizer_id(
    handle: *const c_void,
    token: *const u8,
    len: usize,
    out: *mut Buffer,
) -> i32 {
    guard(out, || match borrow_tokenizer(handle)?.token_to_id(borrow_text(token, len)?) {
        Some(id) => Ok(id.to_ne_bytes().to_vec()),
        None => Err("no such token".into()),
    })
}

/// Gives the added tokens as a JSON array, ordered by id.
///
/// # Safety
/// As [`guard`]; `handle` is a live tokenizer.
#[no_mangle]
pub unsafe extern "C" fn native_tokenizer_added(handle: *const c_void, out: *mut Buffer) -> i32 {
    guard(out, || {
        let added = borrow_tokenizer(handle)?.get_added_tokens_decoder();
        let mut added: Vec<_> = added.into_iter().collect();
        added.sort_by_key(|(id, _)| *id);
        let rows = added.into_iter().map(|(id, token)| {
            json!({
                "id": id, "content": token.content, "special": token.special,
                "normalized": token.normalized, "lstrip": token.lstrip, "rstrip": token.rstrip,
                "single_word": token.single_word,
            })
        });
        Ok(serde_json::Value::Array(rows.collect()).to_string().into_bytes())
    })
}
