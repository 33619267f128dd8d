//! Values as Python writes them: `str(value)` and `repr(value)`.

use minijinja::value::{Value, ValueKind};
use std::fmt::{self, Write};

/// Values nested deeper than this have no text; Python gives up as well.
pub const DEEPEST: usize = 900;

/// `str(value)`: a string is itself, undefined is empty, the rest is its repr.
pub fn str(value: &Value) -> Result<String, fmt::Error> {
    match value.as_str() {
        Some(text) => Ok(text.to_string()),
        None => repr(value),
    }
}

/// `repr(value)`; undefined is empty, as jinja2 prints it.
pub fn repr(value: &Value) -> Result<String, fmt::Error> {
    let mut out = String::new();
    write(&mut out, value, 0)?;
    Ok(out)
}

fn write(out: &mut String, value: &Value, depth: usize) -> fmt::Result {
    if depth > DEEPEST {
        return Err(fmt::Error);
    }
    match value.kind() {
        ValueKind::Undefined => Ok(()),
        ValueKind::None => out.write_str("None"),
        ValueKind::Bool => out.write_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::Number if !value.is_integer() => match f64::try_from(value.clone()) {
            Ok(number) => out.write_str(&float(number)),
            Err(_) => write!(out, "{value}"),
        },
        ValueKind::String => {
            write_string(out, value.as_str().unwrap_or_default());
            Ok(())
        }
        ValueKind::Map => write_map(out, value, depth),
        ValueKind::Seq | ValueKind::Iterable => write_list(out, value, depth),
        _ => write!(out, "{value}"),
    }
}

fn write_list(out: &mut String, value: &Value, depth: usize) -> fmt::Result {
    out.push('[');
    for (i, item) in value.try_iter().map_err(|_| fmt::Error)?.enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        write(out, &item, depth + 1)?;
    }
    out.push(']');
    Ok(())
}

fn write_map(out: &mut String, value: &Value, depth: usize) -> fmt::Result {
    out.push('{');
    for (i, key) in value.try_iter().map_err(|_| fmt::Error)?.enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        write(out, &key, depth + 1)?;
        out.push_str(": ");
        write(out, &value.get_item(&key).map_err(|_| fmt::Error)?, depth + 1)?;
    }
    out.push('}');
    Ok(())
}

/// A quoted string: single quotes, unless it holds these and no double ones.
fn write_string(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if is_printable(c) => out.push(c),
            c => write_escape(out, c as u32),
        }
    }
    out.push(quote);
}

fn write_escape(out: &mut String, code: u32) {
    // Writing to a String does not fail.
    let _ = match code {
        ..=0xFF => write!(out, "\\x{code:02x}"),
        ..=0xFFFF => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

/// Whether Python prints a character beyond ASCII as it is. Rust's debug format
/// goes by the same Unicode categories, save that it escapes a combining mark
/// at the start of a string.
fn is_printable(c: char) -> bool {
    !c.is_ascii() && ['a', c].iter().collect::<String>().escape_debug().count() == 2
}

/// `repr` of a float: the shortest digits that read back as the same number, in
/// exponent form below 1e-4 and from 1e16.
pub fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = number.to_string();
    if plain.contains('.') {
        plain
    } else {
        plain + ".0"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    #[test]
    fn containers_are_written_as_python_does() {
        let value = context! { a => vec![Value::from(1), Value::from(1.5), Value::from(())], b => true, c => "x" };
        assert_eq!(repr(&value).unwrap(), "{'a': [1, 1.5, None], 'b': True, 'c': 'x'}");
        assert_eq!(str(&Value::from("it's")).unwrap(), "it's");
        assert_eq!(str(&Value::UNDEFINED).unwrap(), "");
    }

    #[test]
    fn strings_are_quoted_as_python_does() {
        for (text, want) in [
            ("plain", "'plain'"),
            ("it's", "\"it's\""),
            ("it's \"x\"", "'it\\'s \"x\"'"),
            ("a\n\t\\", "'a\\n\\t\\\\'"),
            ("\0\x1b\x7f", "'\\x00\\x1b\\x7f'"),
            ("日本 é", "'日本 é'"),
            ("e\u{301}", "'e\u{301}'"),
            ("\u{301}", "'\u{301}'"),
            ("\u{a0}\u{200b}\u{3000}", "'\\xa0\\u200b\\u3000'"),
            ("\u{e000}\u{10ffff}", "'\\ue000\\U0010ffff'"),
        ] {
            assert_eq!(repr(&Value::from(text)).unwrap(), want);
        }
    }

    #[test]
    fn floats_are_written_as_python_does() {
        for (number, want) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.25e100, "1.25e+100"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(float(number), want);
        }
    }
}
