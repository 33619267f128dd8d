//! The clock that a render is given: templates ask for it by `strftime_now`.

use chrono::{DateTime, FixedOffset};
use indexmap::IndexMap;
use minijinja::value::Value;
use minijinja::{Error, ErrorKind, State};
use std::fmt::Write;
use std::sync::Arc;

/// A moment and the zone to show it in.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Seconds since 1970-01-01 UTC.
    pub unix: i64,
    /// The zone's seconds east of UTC.
    pub zone: i32,
}

/// The clock travels among the variables, under names that no template can spell.
const UNIX: &str = "clock: unix";
const ZONE: &str = "clock: zone";

impl Clock {
    pub fn hide_in(self, variables: &mut IndexMap<Arc<str>, Value>) {
        variables.insert(UNIX.into(), Value::from(self.unix));
        variables.insert(ZONE.into(), Value::from(self.zone));
    }

    fn find(state: &State) -> Option<Clock> {
        Some(Clock { unix: state.lookup(UNIX)?.as_i64()?, zone: state.lookup(ZONE)?.as_i64()?.try_into().ok()? })
    }

    fn format(self, format: &str) -> Option<String> {
        let zone = FixedOffset::east_opt(self.zone)?;
        let moment = DateTime::from_timestamp(self.unix, 0)?.with_timezone(&zone);
        let mut out = String::new();
        // Fails on a specifier that it does not know.
        write!(out, "{}", moment.format(format)).ok()?;
        Some(out)
    }
}

/// `strftime_now(format)`: the time of the render, by Python's specifiers.
pub fn strftime_now(state: &State, format: &str) -> Result<String, Error> {
    let invalid = |message: String| Error::new(ErrorKind::InvalidOperation, message);
    let clock = Clock::find(state).ok_or_else(|| invalid("no clock".into()))?;
    clock.format(format).ok_or_else(|| invalid(format!("strftime_now: bad format '{format}'")))
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn the_usual_specifiers_are_pythons() {
        let clock = Clock { unix: 1_795_219_506, zone: 3600 };
        for (format, want) in [
            ("%Y-%m-%d", "2026-11-21"),
            ("%d %b %Y", "21 Nov 2026"),
            ("%A, %B %-d, %H:%M:%S %p", "Saturday, November 21, 01:05:06 AM"),
            ("%y %j %I %% %z", "26 325 01 % +0100"),
            ("", ""),
        ] {
            assert_eq!(clock.format(format).as_deref(), Some(want), "{format}");
        }
    }

    #[test]
    fn what_cannot_be_shown_is_an_error() {
        assert_eq!(Clock { unix: 0, zone: 0 }.format("%Q"), None);
        assert_eq!(Clock { unix: i64::MAX, zone: 0 }.format("%Y"), None);
        assert_eq!(Clock { unix: 0, zone: 1 << 20 }.format("%Y"), None);
    }
}
