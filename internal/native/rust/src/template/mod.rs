//! Chat templates: Jinja as Python's transformers sets it up.
//!
//! The engine is minijinja. The modules here are what it differs in from
//! Python's jinja2, as far as chat templates show it: values print as Python
//! prints them ([`repr`], [`json`], [`values`]), strings have Python's methods
//! ([`methods`]), the usual filters, tests and functions exist ([`builtins`],
//! [`filters`], [`generators`], [`clock`]), the `generation` tag is known
//! ([`generation`]), and a loop over None is an error ([`loops`]).
//!
//! Known to differ from Python: tuples print as lists; `~` prints lists that the
//! template itself writes in JSON's quotes; there is no `text % values`, no unary
//! plus, no `varargs`; an integer to a negative power and a division by zero.

mod builtins;
mod clock;
mod compiled;
mod filters;
mod generation;
mod generators;
mod json;
mod loops;
mod methods;
mod repr;
mod tags;
mod values;

use crate::abi::{borrow_text, caught, guard, Buffer, Failure};
use clock::Clock;
use compiled::{Limits, Template};
use std::ffi::c_void;

/// Compiles a template. On success `*handle` is set.
///
/// # Safety
/// As [`borrow_text`] and [`guard`]; `limits` is readable, `handle` writable.
#[no_mangle]
pub unsafe extern "C" fn native_template_new(
    source: *const u8,
    len: usize,
    limits: *const Limits,
    handle: *mut *mut c_void,
    out: *mut Buffer,
) -> i32 {
    guard(out, || {
        let template = Template::compile(borrow_text(source, len)?, *limits)?;
        *handle = Box::into_raw(Box::new(template)).cast();
        Ok(vec![])
    })
}

/// # Safety
/// `handle` comes from [`native_template_new`], is given back once, and is in
/// no call.
#[no_mangle]
pub unsafe extern "C" fn native_template_free(handle: *mut c_void) {
    let _ = caught(|| {
        drop(Box::from_raw(handle.cast::<Template>()));
        Ok(())
    });
}

/// Renders a template with the members of a JSON object as its variables, at
/// the given time: seconds since the epoch, and the zone's seconds east of UTC.
///
/// # Safety
/// As [`borrow_text`] and [`guard`]; `handle` is a live template.
#[no_mangle]
pub unsafe extern "C" fn native_template_render(
    handle: *const c_void,
    context: *const u8,
    len: usize,
    unix: i64,
    zone: i32,
    out: *mut Buffer,
) -> i32 {
    guard(out, || {
        let template = handle.cast::<Template>().as_ref().ok_or_else(|| Failure::from("no template"))?;
        template.render(borrow_text(context, len)?, Clock { unix, zone }).map(String::into_bytes)
    })
}
