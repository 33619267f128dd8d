//! A memory budget for one thread's work: what keeps a hostile template from
//! taking the process down.
//!
//! A template engine has no hook in `x ~ x`, yet sixty of these in a row ask
//! for 2^60 bytes. So the bound lies in the allocator: while a budget is in
//! force on a thread, an allocation beyond it fails as if memory had run out.
//! The standard library then calls the allocation error hook, which may unwind
//! ([`std::alloc::handle_alloc_error`]); the unwinding ends in [`with_budget`].

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// Bounds, in bytes, on what one call may allocate.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// At one time.
    pub live: usize,
    /// Altogether: copying costs time, so that this bounds the time as well.
    pub total: usize,
}

/// The budget was spent; which part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    Live,
    Total,
}

/// Runs `work` under `budget`. Other panics pass through; who calls this is
/// inside [`crate::abi::caught`], whose panic hook lifts the budget first.
/// Budgets do not nest: the inner one holds, and ends the outer one.
pub fn with_budget<T>(budget: Budget, work: impl FnOnce() -> T) -> Result<T, Exhausted> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| std::alloc::set_alloc_error_hook(unwind_if_budgeted));

    LIVE.set(clamp(budget.live));
    TOTAL.set(clamp(budget.total));
    ACTIVE.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    lift();
    outcome.map_err(|payload| match payload.downcast::<Exhausted>() {
        Ok(exhausted) => *exhausted,
        Err(other) => panic::resume_unwind(other),
    })
}

/// Ends the budget in force on this thread, if any: a panic being reported must
/// not fail to allocate.
pub fn lift() {
    ACTIVE.set(false);
}

fn clamp(bytes: usize) -> isize {
    bytes.min(isize::MAX as usize) as isize
}

thread_local! {
    // Plain cells without destructors: the allocator may read them at any time.
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static TOTAL: Cell<isize> = const { Cell::new(0) };
}

fn unwind_if_budgeted(_: Layout) {
    if ACTIVE.get() {
        // Unwinding allocates.
        lift();
        let spent = if LIVE.get() < 0 { Exhausted::Live } else { Exhausted::Total };
        panic::resume_unwind(Box::new(spent));
    }
}

/// Takes `live` and `total` bytes from the budget in force; false where it has
/// less left.
#[inline]
fn take(live: isize, total: isize) -> bool {
    if !ACTIVE.get() {
        return true;
    }
    LIVE.set(LIVE.get().saturating_sub(live));
    TOTAL.set(TOTAL.get().saturating_sub(total));
    LIVE.get() >= 0 && TOTAL.get() >= 0
}

/// The system's allocator, watched by the budget of the thread.
struct Budgeted;

#[global_allocator]
static ALLOCATOR: Budgeted = Budgeted;

// SAFETY: every call goes to the system's allocator unchanged, or fails with null.
unsafe impl GlobalAlloc for Budgeted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size() as isize, layout.size() as isize) {
            return std::ptr::null_mut();
        }
        System.alloc(layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size() as isize, layout.size() as isize) {
            return std::ptr::null_mut();
        }
        System.alloc_zeroed(layout)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        take(-(layout.size() as isize), 0);
        System.dealloc(pointer, layout)
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let grown = size as isize - layout.size() as isize;
        if !take(grown, grown.max(0)) && grown > 0 {
            return std::ptr::null_mut();
        }
        System.realloc(pointer, layout, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Budget = Budget { live: 1 << 20, total: 8 << 20 };

    #[test]
    fn doubling_a_string_ends_at_the_live_bound() {
        let spent = with_budget(SMALL, || {
            let mut text = String::from("x");
            loop {
                text = format!("{text}{text}");
            }
        });
        assert_eq!(spent.map(|_: ()| ()), Err(Exhausted::Live));
    }

    #[test]
    fn churn_ends_at_the_total_bound() {
        let spent = with_budget(SMALL, || loop {
            std::hint::black_box(vec![1u8; 1000]);
        });
        assert_eq!(spent.map(|_: ()| ()), Err(Exhausted::Total));
    }

    #[test]
    fn freed_memory_may_be_used_again() {
        let done = with_budget(SMALL, || {
            for _ in 0..7 {
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
