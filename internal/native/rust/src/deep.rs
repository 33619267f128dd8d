//! Work on a stack of its own.
//!
//! Template values nest as deeply as a template likes, and dropping, comparing
//! or printing one recurses; so does compiling a long chain of operators. An
//! overflowing stack kills the process, so this work gets a stack that its
//! other limits (memory, source size) cannot fill.

use crate::abi::Failure;
use std::thread;

/// Runs `work` on a fresh thread with `stack` bytes of stack and waits for it.
/// Pages of the stack that are not touched take no memory.
pub fn on_stack<T: Send>(stack: usize, work: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
    thread::scope(|scope| {
        let started = thread::Builder::new()
            .name("template".into())
            .stack_size(stack)
            .spawn_scoped(scope, || crate::abi::caught(work));
        match started {
            // `caught` lets nothing unwind, so that join cannot fail.
            Ok(thread) => thread.join().unwrap_or_else(|_| Err("panic while panicking".into())),
            Err(e) => Err(format!("no thread for the template: {e}").into()),
        }
    })
}
