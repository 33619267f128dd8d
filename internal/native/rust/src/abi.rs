//! The boundary: statuses, buffers with a length, and the guard around every call.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// What a guarded call returns. The values are part of the C interface.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok = 0,
    /// The call refused its input; the buffer says why.
    Failed = 1,
    /// The call panicked; the buffer holds the panic's message and place.
    Panicked = 2,
    /// A template went over one of its limits; the buffer names it.
    OverLimit = 3,
    /// The template called raise_exception; the buffer holds its message.
    Raised = 4,
}

/// Why a call has no result.
#[derive(Debug)]
pub struct Failure {
    pub status: Status,
    pub message: String,
}

impl Failure {
    pub fn over_limit(message: impl Into<String>) -> Failure {
        Failure { status: Status::OverLimit, message: message.into() }
    }
}

impl<S: Into<String>> From<S> for Failure {
    fn from(message: S) -> Failure {
        Failure { status: Status::Failed, message: message.into() }
    }
}

/// Bytes owned by this library; the caller gives them back with
/// [`native_buffer_free`]. Empty buffers have a null pointer.
#[repr(C)]
pub struct Buffer {
    data: *mut u8,
    len: usize,
}

impl Buffer {
    fn new(bytes: Vec<u8>) -> Buffer {
        if bytes.is_empty() {
            return Buffer { data: std::ptr::null_mut(), len: 0 };
        }
        let bytes = Box::leak(bytes.into_boxed_slice());
        Buffer { data: bytes.as_mut_ptr(), len: bytes.len() }
    }
}

/// # Safety
/// `buffer` comes from this library and is given back once.
#[no_mangle]
pub unsafe extern "C" fn native_buffer_free(buffer: Buffer) {
    if !buffer.data.is_null() {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(buffer.data, buffer.len)));
    }
}

/// The caller's bytes; no copy. A null pointer is allowed where `len` is 0.
///
/// # Safety
/// `data` points at `len` readable elements that outlive the borrow.
pub unsafe fn borrow<'a, T>(data: *const T, len: usize) -> &'a [T] {
    if len == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, len)
    }
}

/// The caller's text, refused where it is not UTF-8.
///
/// # Safety
/// As [`borrow`].
pub unsafe fn borrow_text<'a>(data: *const u8, len: usize) -> Result<&'a str, Failure> {
    std::str::from_utf8(borrow(data, len)).map_err(|e| format!("text is not valid UTF-8: {e}").into())
}

/// Runs `call`, puts its bytes or its error's message into `out`, and returns
/// the status. Nothing unwinds out of it.
///
/// # Safety
/// `out` is null or points at a writable buffer, whose old content is not freed.
pub unsafe fn guard(out: *mut Buffer, call: impl FnOnce() -> Result<Vec<u8>, Failure>) -> i32 {
    let (status, bytes) = match caught(call) {
        Ok(bytes) => (Status::Ok, bytes),
        Err(failure) => (failure.status, failure.message.into_bytes()),
    };
    if !out.is_null() {
        out.write(Buffer::new(bytes));
    }
    status as i32
}

/// Runs `call` and makes a panic an ordinary failure.
pub fn caught<T>(call: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    static HOOK: Once = Once::new();
    HOOK.call_once(install_hook);

    GUARDED.with(|g| g.borrow_mut().push(None));
    let outcome = panic::catch_unwind(AssertUnwindSafe(call));
    let place = GUARDED.with(|g| g.borrow_mut().pop().flatten());
    outcome.unwrap_or_else(|payload| {
        // Dropping a payload may panic in its turn; it holds a message, no more.
        let message = place.unwrap_or_else(|| message_of(payload.as_ref()).to_string());
        std::mem::forget(payload);
        Err(Failure { status: Status::Panicked, message })
    })
}

thread_local! {
    /// One entry for each guarded call in progress: its panic, once there is one.
    static GUARDED: RefCell<Vec<Option<String>>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the panics of guarded calls off standard error: their message and
/// place go to the caller instead. Other panics are reported as ever.
fn install_hook() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        crate::budget::lift();
        let text = || {
            let place = info.location().map(|l| format!(" at {}:{}", l.file(), l.line()));
            format!("{}{}", message_of(info.payload()), place.unwrap_or_default())
        };
        let noted = GUARDED.try_with(|g| match g.borrow_mut().last_mut() {
            Some(slot) => {
                *slot = Some(text());
                true
            }
            None => false,
        });
        if noted != Ok(true) {
            report(info);
        }
    }));
}

fn message_of(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic without a message")
}

/// Panics on purpose, so that the callers' tests can see what a panic becomes.
///
/// # Safety
/// As [`guard`] and [`borrow_text`].
#[no_mangle]
pub unsafe extern "C" fn native_panic(text: *const u8, len: usize, out: *mut Buffer) -> i32 {
    guard(out, || panic!("{}", borrow_text(text, len)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_failure_that_says_where() {
        let failure = caught(|| -> Result<(), Failure> { panic!("boom {}", 1) }).unwrap_err();
        assert_eq!(failure.status, Status::Panicked);
        assert!(failure.message.starts_with("boom 1 at "), "{}", failure.message);
    }

    #[test]
    fn guards_nest() {
        let outer = caught(|| {
            let inner = caught(|| -> Result<(), Failure> { panic!("inner") });
            assert_eq!(inner.unwrap_err().status, Status::Panicked);
            Ok(7)
        });
        assert_eq!(outer.unwrap(), 7);
    }

    #[test]
    fn buffers_keep_nul_and_are_given_back() {
        let mut out = Buffer::new(vec![]);
        let status = unsafe { guard(&mut out, || Ok(b"a\0b".to_vec())) };
        assert_eq!(status, Status::Ok as i32);
        assert_eq!(unsafe { borrow(out.data as *const u8, out.len) }, b"a\0b");
        unsafe { native_buffer_free(out) };
    }
}
