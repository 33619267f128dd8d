//! A budget of memory, time and stack for one thread's work: what keeps a hostile
//! template from taking the process down, or a core for ever.
//!
//! A template engine has no hook in `x ~ x`, yet sixty of these in a row ask
//! for 2^60 bytes. So the bound lies in the allocator: while a budget is in
//! force on a thread, an allocation beyond it fails as if memory had run out.
//! The standard library then calls the allocation error hook, which may unwind
//! ([`std::alloc::handle_alloc_error`]); the unwinding ends in [`with_budget`].
//! Time and stack are looked at there as well, and in loops, which call [`check`].

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::time::{Duration, Instant};

/// Bounds on one call.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Bytes allocated at one time.
    pub memory: usize,
    pub time: Duration,
    /// Bytes of stack that the work may use: the thread has some more.
    pub stack: usize,
}

/// The budget was spent; which part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    Memory,
    Time,
    Stack,
}

/// Runs `work` under `budget`. Other panics pass through; who calls this is
/// inside [`crate::abi::caught`], whose panic hook lifts the budget first.
/// Budgets do not nest: the inner one holds, and ends the outer one.
pub fn with_budget<T>(budget: Budget, work: impl FnOnce() -> T) -> Result<T, Exhausted> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| std::alloc::set_alloc_error_hook(unwind_if_budgeted));

    MEMORY.set(budget.memory.min(isize::MAX as usize) as isize);
    DEADLINE.set(Instant::now().checked_add(budget.time));
    EFFORT.set(0);
    FLOOR.set(stack_pointer().saturating_sub(budget.stack));
    SPENT.set(None);
    ACTIVE.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    lift();
    match (SPENT.take(), outcome) {
        (Some(exhausted), _) => Err(exhausted), // also where the work caught the unwinding
        (None, Ok(value)) => Ok(value),
        (None, Err(other)) => panic::resume_unwind(other),
    }
}

/// Ends the budget in force on this thread, if any: a panic being reported must
/// not fail to allocate.
pub fn lift() {
    ACTIVE.set(false);
}

/// Unwinds to [`with_budget`] when the time is over. Cheap enough for every
/// round of a loop.
#[inline]
pub fn check() {
    if ACTIVE.get() && overdue(STEP) {
        unwind(Exhausted::Time);
    }
}

/// About where the stack ends at present; it grows downwards.
#[inline(always)]
fn stack_pointer() -> usize {
    let here = 0u8;
    std::ptr::from_ref(std::hint::black_box(&here)) as usize
}

thread_local! {
    // Plain cells without destructors: the allocator may read them at any time.
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
    static MEMORY: Cell<isize> = const { Cell::new(0) };
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
    /// What ended the budget.
    static SPENT: Cell<Option<Exhausted>> = const { Cell::new(None) };
    /// The address that the stack must not reach.
    static FLOOR: Cell<usize> = const { Cell::new(0) };
    /// Work since the clock was last read, in bytes or their like.
    static EFFORT: Cell<usize> = const { Cell::new(0) };
}

/// An allocation or a loop's round counts as this many bytes.
const STEP: usize = 256;

/// The clock is read after about so many bytes: every fraction of a millisecond.
const GLANCE: usize = 1 << 20;

#[inline]
fn overdue(effort: usize) -> bool {
    let effort = EFFORT.get().saturating_add(effort);
    if effort < GLANCE {
        EFFORT.set(effort);
        return false;
    }
    EFFORT.set(0);
    DEADLINE.get().is_some_and(|deadline| Instant::now() > deadline)
}

fn unwind(spent: Exhausted) -> ! {
    // Unwinding allocates.
    lift();
    SPENT.set(Some(spent));
    panic::resume_unwind(Box::new(spent))
}

fn unwind_if_budgeted(_: Layout) {
    if ACTIVE.get() {
        unwind(if MEMORY.get() < 0 {
            Exhausted::Memory
        } else if stack_pointer() < FLOOR.get() {
            Exhausted::Stack
        } else {
            Exhausted::Time
        });
    }
}

/// Takes bytes from the budget in force; false where it has less left.
#[inline]
fn take(bytes: isize) -> bool {
    if !ACTIVE.get() {
        return true;
    }
    MEMORY.set(MEMORY.get().saturating_sub(bytes));
    bytes <= 0 || MEMORY.get() >= 0 && stack_pointer() >= FLOOR.get() && !overdue(STEP + bytes as usize)
}

/// The system's allocator, watched by the budget of the thread.
struct Budgeted;

#[global_allocator]
static ALLOCATOR: Budgeted = Budgeted;

// SAFETY: every call goes to the system's allocator unchanged, or fails with null.
unsafe impl GlobalAlloc for Budgeted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size() as isize) {
            return std::ptr::null_mut();
        }
        System.alloc(layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size() as isize) {
            return std::ptr::null_mut();
        }
        System.alloc_zeroed(layout)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        take(-(layout.size() as isize));
        System.dealloc(pointer, layout)
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !take(size as isize - layout.size() as isize) {
            return std::ptr::null_mut();
        }
        System.realloc(pointer, layout, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Budget = Budget { memory: 1 << 20, time: Duration::from_secs(60), stack: 1 << 20 };
    const SHORT: Budget = Budget { memory: 1 << 30, time: Duration::from_millis(5), stack: 1 << 20 };

    #[test]
    fn doubling_a_string_ends_at_the_memory_bound() {
        let spent = with_budget(SMALL, || {
            let mut text = String::from("x");
            loop {
                text = format!("{text}{text}");
            }
        });
        assert_eq!(spent.map(|_: ()| ()), Err(Exhausted::Memory));
    }

    #[test]
    fn allocating_for_ever_ends_at_the_time_bound() {
        let spent = with_budget(SHORT, || loop {
            std::hint::black_box(vec![1u8; 10]);
        });
        assert_eq!(spent.map(|_: ()| ()), Err(Exhausted::Time));
    }

    #[test]
    fn looping_for_ever_ends_at_the_time_bound() {
        let spent = with_budget(SHORT, || loop {
            check();
        });
        assert_eq!(spent.map(|_: ()| ()), Err(Exhausted::Time));
    }

    #[test]
    fn recursion_that_allocates_ends_at_the_stack_bound() {
        fn deeper(n: usize) -> usize {
            let held = std::hint::black_box(vec![n]);
            if n == usize::MAX {
                return 0;
            }
            deeper(n + 1) + held[0]
        }
        let shallow = Budget { stack: 100 << 10, ..SMALL };
        assert_eq!(with_budget(shallow, || deeper(0)), Err(Exhausted::Stack));
    }

    #[test]
    fn freed_memory_may_be_used_again() {
        let done = with_budget(SMALL, || {
            for _ in 0..100 {
                std::hint::black_box(vec![1u8; 1000 * 1000]);
            }
        });
        assert_eq!(done, Ok(()));
    }

    #[test]
    fn other_panics_pass_through_and_end_the_budget() {
        let panicked = crate::abi::caught(|| {
            let _ = with_budget(SMALL, || panic!("other"));
            Ok(())
        });
        assert!(panicked.unwrap_err().message.starts_with("other"));
        std::hint::black_box(vec![1u8; 64 << 20]);
    }
}
