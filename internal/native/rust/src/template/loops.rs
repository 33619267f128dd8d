//! What `for` loops run over. A loop over None is run no times by the engine; in
//! Python it is an error, and a template that meets one was not written for its
//! input. And each round looks at the clock: a loop need not allocate.

use super::tags::{code, inside, keyword};
use crate::budget;
use minijinja::value::{Enumerator, Object, ObjectRepr, Value, ValueKind};
use minijinja::{Error, ErrorKind};
use std::sync::Arc;

/// The filter that [`checked`] puts around what a loop runs over.
pub const FILTER: &str = "iterated";

/// A `for` tag whose iterable passes through the filter: `{% for x in (y)|iterated
/// if z %}`. None for other tags.
pub fn checked(tag: &str) -> Option<String> {
    if keyword(tag) != "for" {
        return None;
    }
    let inner = inside(tag);
    let start = word(inner, "in", 0)? + "in".len();
    let end = word(inner, "if", start).or_else(|| word(inner, "recursive", start)).unwrap_or(inner.len());
    let (head, iterable, rest) = (&inner[..start], &inner[start..end], &inner[end..]);
    if iterable.trim().is_empty() {
        return None;
    }
    // Line breaks stay where they were: error messages count lines.
    Some(tag.replacen(inner, &format!("{head} ({iterable})|{FILTER} {rest}"), 1))
}

/// Where a word stands outside strings and brackets.
fn word(text: &str, word: &str, start: usize) -> Option<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code(text, start)
        .find(|(at, depth)| {
            *depth == 0
                && text[*at..].starts_with(word)
                && !text[..*at].ends_with(part)
                && !text[at + word.len()..].starts_with(part)
        })
        .map(|(at, _)| at)
}

pub fn iterated(value: Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::None => Err(Error::new(ErrorKind::InvalidOperation, "None is not iterable")),
        ValueKind::Undefined => Ok(value),
        _ => Ok(Value::from_object(Timed(value))),
    }
}

/// A value's items, with a look at the clock before each.
#[derive(Debug)]
struct Timed(Value);

impl Object for Timed {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.0.try_iter() {
            Ok(items) => Enumerator::Iter(Box::new(items.inspect(|_| budget::check()))),
            Err(_) => Enumerator::NonEnumerable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::checked;
    use crate::template::builtins::environment;

    #[test]
    fn loops_know_their_length() {
        let source =
            "{% for a in [1, 2, 3]|iterated %}{{ loop.index }}/{{ loop.length }}{{ '.' if loop.last }}{% endfor %}";
        assert_eq!(environment().render_str(source, ()).unwrap(), "1/32/33/3.");
        assert!(environment().render_str("{% for a in none|iterated %}{% endfor %}", ()).is_err());
        assert!(environment().render_str("{% for a in 1|iterated %}{% endfor %}", ()).is_err());
        assert_eq!(environment().render_str("{% for a in x|iterated %}{% endfor %}", ()).unwrap(), "");
    }

    #[test]
    fn the_iterable_passes_through_the_filter() {
        for (tag, want) in [
            ("{% for a in b %}", "{% for a in ( b)|iterated  %}"),
            ("{%- for a, b in c.items() -%}", "{%- for a, b in ( c.items())|iterated  -%}"),
            ("{% for a in b if c in d %}", "{% for a in ( b )|iterated if c in d %}"),
            ("{% for a in (b if c else d) recursive %}", "{% for a in ( (b if c else d) )|iterated recursive %}"),
            ("{% for a in 'x if y' %}", "{% for a in ( 'x if y')|iterated  %}"),
            ("{% for index in indices %}", "{% for index in ( indices)|iterated  %}"),
        ] {
            assert_eq!(checked(tag).as_deref(), Some(want), "{tag}");
        }
        assert_eq!(checked("{% if a in b %}"), None);
        assert_eq!(checked("{% for a %}"), None);
    }
}
