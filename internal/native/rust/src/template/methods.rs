//! Methods of Python's values that templates call: `text.strip()`, `map.items()`.
//!
//! minijinja's own set covers most of them; here stand those that it lacks, and
//! those that answer otherwise than Python does.

use super::filters::{center, pad};
use super::repr;
use minijinja::value::{from_args, Kwargs, Value};
use minijinja::{Error, ErrorKind, State};
use minijinja_contrib::pycompat;

/// The engine's callback for a method that a value does not have.
pub fn call(state: &State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match value.as_str() {
        Some(text) => {
            string(text, method, args).unwrap_or_else(|| pycompat::unknown_method_callback(state, value, method, args))
        }
        None => pycompat::unknown_method_callback(state, value, method, args),
    }
}

/// A string's method; None where minijinja's answer is Python's.
fn string(text: &str, method: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    Some(match method {
        "strip" => chars(args).map(|c| Value::from(text.trim_matches(stripped(c)))),
        "lstrip" => chars(args).map(|c| Value::from(text.trim_start_matches(stripped(c)))),
        "rstrip" => chars(args).map(|c| Value::from(text.trim_end_matches(stripped(c)))),
        "removeprefix" => one(args).map(|p| Value::from(text.strip_prefix(p).unwrap_or(text))),
        "removesuffix" => one(args).map(|p| Value::from(text.strip_suffix(p).unwrap_or(text))),
        "find" => one(args).map(|p| position(text, text.find(p)).into()),
        "rfind" => one(args).map(|p| position(text, text.rfind(p)).into()),
        "index" => one(args).and_then(|p| found(position(text, text.find(p)))),
        "rindex" => one(args).and_then(|p| found(position(text, text.rfind(p)))),
        "count" => one(args).map(|p| Value::from(text.matches(p).count())),
        "split" => split(text, args),
        "rsplit" => rsplit(text, args),
        "partition" => one(args).and_then(|p| partition(text, p, false)),
        "rpartition" => one(args).and_then(|p| partition(text, p, true)),
        "splitlines" => splitlines(text, args),
        "join" => join(text, args),
        "isspace" => every(text, args, is_space),
        "isdigit" | "isdecimal" | "isnumeric" => every(text, args, char::is_numeric),
        "isalpha" => every(text, args, char::is_alphabetic),
        "isalnum" => every(text, args, char::is_alphanumeric),
        "islower" => cased(text, args, char::is_lowercase, char::is_uppercase),
        "isupper" => cased(text, args, char::is_uppercase, char::is_lowercase),
        "swapcase" => from_args(args).map(|()| text.chars().map(swapped).collect::<String>().into()),
        "ljust" => padding(text, args).and_then(|(n, c)| pad(text, 0, n, c)).map(Value::from),
        "rjust" => padding(text, args).and_then(|(n, c)| pad(text, n, 0, c)).map(Value::from),
        "center" => from_args(args).and_then(|(width,): (usize,)| center(text, width)).map(Value::from),
        "zfill" => zfill(text, args),
        "casefold" => from_args(args).map(|()| Value::from(text.to_lowercase())),
        _ => return None,
    })
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.to_string())
}

fn one(args: &[Value]) -> Result<&str, Error> {
    from_args(args).map(|(text,): (&str,)| text)
}

/// The argument of `strip` and its like: characters, or None.
fn chars(args: &[Value]) -> Result<Option<&str>, Error> {
    from_args(args).map(|(chars,): (Option<&str>,)| chars)
}

/// What `strip` takes away: the given characters, or white space.
pub fn stripped(chars: Option<&str>) -> impl FnMut(char) -> bool + use<'_> {
    move |c| match chars {
        Some(chars) => chars.contains(c),
        None => is_space(c),
    }
}

/// Python's white space: Unicode's and four of ASCII's separators.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// A byte offset in `text` as a count of characters; -1 for none.
fn position(text: &str, offset: Option<usize>) -> i64 {
    offset.map_or(-1, |bytes| text[..bytes].chars().count() as i64)
}

fn found(position: i64) -> Result<Value, Error> {
    match position {
        -1 => Err(invalid("substring not found")),
        n => Ok(n.into()),
    }
}

fn swapped(c: char) -> String {
    if c.is_uppercase() {
        c.to_lowercase().collect()
    } else {
        c.to_uppercase().collect()
    }
}

/// How many characters are missing to a width, and what fills it.
fn padding(text: &str, args: &[Value]) -> Result<(usize, char), Error> {
    let (width, filler): (usize, Option<char>) = from_args(args)?;
    Ok((width.saturating_sub(text.chars().count()), filler.unwrap_or(' ')))
}

fn zfill(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (width,): (usize,) = from_args(args)?;
    let missing = width.saturating_sub(text.chars().count());
    let (sign, digits) = text.split_at(text.starts_with(['-', '+']) as usize);
    Ok(Value::from(sign.to_string() + &pad(digits, missing, 0, '0')?))
}

/// The separator and the greatest number of splits; a negative one is no bound.
fn split_args(args: &[Value]) -> Result<(Option<String>, Option<usize>), Error> {
    let (sep, max, named): (Option<Value>, Option<Value>, Kwargs) = from_args(args)?;
    let pick = |positional: Option<Value>, name: &str| match positional {
        Some(value) => Ok(value),
        None => named.get::<Option<Value>>(name).map(Option::unwrap_or_default),
    };
    let (sep, max) = (pick(sep, "sep")?, pick(max, "maxsplit")?);
    named.assert_all_used()?;
    let sep = match sep.as_str() {
        Some("") => return Err(invalid("empty separator")),
        Some(sep) => Some(sep.to_string()),
        None if sep.is_none() || sep.is_undefined() => None,
        None => return Err(invalid("a separator is a string")),
    };
    Ok((sep, max.as_i64().and_then(|n| usize::try_from(n).ok())))
}

fn split(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (sep, max) = split_args(args)?;
    let limit = max.map_or(usize::MAX, |n| n.saturating_add(1));
    Ok(match sep {
        Some(sep) => text.splitn(limit, &sep).map(Value::from).collect(),
        None => Value::from(words(text, limit)),
    })
}

/// Words between runs of white space; the last of `limit` holds the rest.
fn words(text: &str, limit: usize) -> Vec<Value> {
    let mut words = vec![];
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        if words.len() + 1 == limit {
            words.push(Value::from(rest));
            break;
        }
        let end = rest.find(is_space).unwrap_or(rest.len());
        words.push(Value::from(&rest[..end]));
        rest = rest[end..].trim_start_matches(is_space);
    }
    words
}

fn rsplit(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (sep, max) = split_args(args)?;
    let limit = max.map_or(usize::MAX, |n| n.saturating_add(1));
    let mut parts: Vec<Value> = match (sep, max) {
        (Some(sep), _) => text.rsplitn(limit, &sep).map(Value::from).collect(),
        (None, None) => return Ok(Value::from(words(text, usize::MAX))),
        (None, Some(_)) => return Err(invalid("rsplit by white space takes no bound")),
    };
    parts.reverse();
    Ok(Value::from(parts))
}

fn partition(text: &str, sep: &str, last: bool) -> Result<Value, Error> {
    if sep.is_empty() {
        return Err(invalid("empty separator"));
    }
    let cut = if last { text.rsplit_once(sep) } else { text.split_once(sep) };
    let parts = match (cut, last) {
        (Some((before, after)), _) => [before, sep, after],
        (None, false) => [text, "", ""],
        (None, true) => ["", "", text],
    };
    Ok(parts.into_iter().map(Value::from).collect())
}

/// Lines end at any of Python's line boundaries, "\r\n" being one.
fn splitlines(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (keep, named): (Option<bool>, Kwargs) = from_args(args)?;
    let keep = match keep {
        Some(keep) => keep,
        None => named.get::<Option<bool>>("keepends")?.unwrap_or(false),
    };
    named.assert_all_used()?;

    let boundary = |c: char| matches!(c, '\n'..='\r' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut lines = vec![];
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(boundary).unwrap_or(rest.len());
        let length = match &rest[end..] {
            tail if tail.starts_with("\r\n") => 2,
            tail => tail.chars().next().map_or(0, char::len_utf8),
        };
        lines.push(Value::from(&rest[..if keep { end + length } else { end }]));
        rest = &rest[end + length..];
    }
    Ok(Value::from(lines))
}

fn join(separator: &str, args: &[Value]) -> Result<Value, Error> {
    let (items,): (Value,) = from_args(args)?;
    let mut out = String::new();
    for (i, item) in items.try_iter()?.enumerate() {
        if i > 0 {
            out.push_str(separator);
        }
        match item.as_str() {
            Some(text) => out.push_str(text),
            None => {
                let text = repr::repr(&item).unwrap_or_default();
                return Err(invalid(&format!("join: a string is expected, not {text}")));
            }
        }
    }
    Ok(Value::from(out))
}

/// `is…`: true of every character, and there is one.
fn every(text: &str, args: &[Value], is: impl Fn(char) -> bool) -> Result<Value, Error> {
    from_args(args).map(|()| Value::from(!text.is_empty() && text.chars().all(is)))
}

/// One character of the case at least, and none of the other.
fn cased(text: &str, args: &[Value], is: impl Fn(char) -> bool, other: impl Fn(char) -> bool) -> Result<Value, Error> {
    from_args(args).map(|()| Value::from(text.chars().any(is) && !text.chars().any(other)))
}

#[cfg(test)]
mod tests {
    use crate::template::builtins::environment;
    use minijinja::context;

    fn eval(expression: &str) -> String {
        environment()
            .render_str(&format!("{{{{ ({expression})|tojson }}}}"), context! { d => context! { items => 1, a => 2 } })
            .unwrap_or_else(|_| "error".into())
    }

    #[test]
    fn methods_answer_as_in_python() {
        for (expression, want) in [
            ("'  a '.strip()", r#""a""#),
            ("'xay'.strip('xy')", r#""a""#),
            ("'\\n a'.lstrip('\\n')", r#"" a""#),
            ("' a '.rstrip()", r#"" a""#),
            ("'abc'.removeprefix('a').removesuffix('c')", r#""b""#),
            ("'日本語'.find('語')", "2"),
            ("'a'.find('b')", "-1"),
            ("'aXbX'.rfind('X')", "3"),
            ("'a'.index('b')", "error"),
            ("'aaa'.count('a')", "3"),
            ("'aa'.count('')", "3"),
            ("'a,b,,c'.split(',')", r#"["a", "b", "", "c"]"#),
            ("'a,b,c'.split(',', 1)", r#"["a", "b,c"]"#),
            ("'a,b,c'.split(',', maxsplit=1)", r#"["a", "b,c"]"#),
            ("'a,b,c'.rsplit(',', 1)", r#"["a,b", "c"]"#),
            ("' a  b '.split()", r#"["a", "b"]"#),
            ("' a  b c '.split(none, 1)", r#"["a", "b c "]"#),
            ("''.split(',')", r#"[""]"#),
            ("''.split()", "[]"),
            ("'a'.split('')", "error"),
            ("'a</think>b</think>c'.split('</think>')[-1]", r#""c""#),
            ("'a=b=c'.partition('=')", r#"["a", "=", "b=c"]"#),
            ("'a=b=c'.rpartition('=')", r#"["a=b", "=", "c"]"#),
            ("'a'.rpartition('=')", r#"["", "", "a"]"#),
            ("'a\\nb\\r\\nc\\n'.splitlines()", r#"["a", "b", "c"]"#),
            ("'a\\nb'.splitlines(true)", r#"["a\n", "b"]"#),
            ("''.splitlines()", "[]"),
            ("', '.join(['a', 'b'])", r#""a, b""#),
            ("', '.join([1])", "error"),
            ("''.isdigit()", "false"),
            ("'12'.isdigit()", "true"),
            ("' '.isspace()", "true"),
            ("'aB'.islower()", "false"),
            ("'a1'.islower()", "true"),
            ("'1'.isupper()", "false"),
            ("'a-b'.replace('-', '+')", r#""a+b""#),
            ("'abc'.startswith('ab') and 'abc'.endswith(('x', 'c'))", "true"),
            ("'ab'.upper() ~ 'CD'.lower() ~ 'ef'.title() ~ 'gh'.capitalize()", r#""ABcdEfGh""#),
            ("d.items()|list", r#"[["items", 1], ["a", 2]]"#),
            ("d.get('a') ~ d.get('b', 3)", r#""23""#),
            ("d.keys()|list", r#"["items", "a"]"#),
            ("'aB'.swapcase() ~ 'a'.ljust(2) ~ 'a'.rjust(2, '.') ~ 'a'.center(3)", r#""Aba .a a ""#),
            ("'7'.zfill(3) ~ '-7'.zfill(3)", r#""007-07""#),
            ("'a'.ljust(10**9)", "error"),
            ("'a'.nothing()", "error"),
        ] {
            assert_eq!(eval(expression), want, "{expression}");
        }
    }
}
