//! Loops over None. The engine runs them no times; in Python they are an error,
//! and a template that meets one was not written for its input.

use super::tags::{code, inside, keyword};
use minijinja::value::Value;
use minijinja::{Error, ErrorKind};

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
    if value.is_none() {
        return Err(Error::new(ErrorKind::InvalidOperation, "None is not iterable"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::checked;

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
