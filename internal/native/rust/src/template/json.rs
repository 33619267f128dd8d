//! The `tojson` filter, as transformers defines it: Python's `json.dumps` with
//! `ensure_ascii=False`, and without the HTML escapes of jinja2's own.

use super::generators::is_generator;
use super::repr::{self, DEEPEST};
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind};
use std::fmt::Write;

/// `value|tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
pub fn tojson(value: Value, ensure_ascii: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    let option = |name: &str| options.get::<Option<Value>>(name).map(|v| v.unwrap_or_default());
    let ascii = match ensure_ascii {
        Some(positional) => positional,
        None => option("ensure_ascii")?,
    };
    let indent = indent(&option("indent")?)?;
    let separators = separators(&option("separators")?, indent.is_some())?;
    let sort_keys = option("sort_keys")?.is_true();
    options.assert_all_used()?;

    let mut writer = Writer { out: String::new(), indent, separators, sort_keys };
    writer.write(&value, 0)?;
    Ok(Value::from(if ascii.is_true() { ascii_only(&writer.out) } else { writer.out }))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// One level's indentation: so many spaces, or a string.
fn indent(value: &Value) -> Result<Option<String>, Error> {
    const WIDEST: usize = 100;
    if value.is_undefined() || value.is_none() {
        return Ok(None);
    }
    match (value.as_str(), value.as_i64()) {
        (Some(text), _) if text.len() <= WIDEST => Ok(Some(text.into())),
        (None, Some(n)) if n <= WIDEST as i64 => Ok(Some(" ".repeat(n.max(0) as usize))),
        _ => Err(invalid(format!("tojson: indent is a string or a number up to {WIDEST}"))),
    }
}

/// The texts between items, and between a key and its value.
fn separators(value: &Value, indented: bool) -> Result<(String, String), Error> {
    if value.is_undefined() || value.is_none() {
        return Ok((if indented { "," } else { ", " }.into(), ": ".into()));
    }
    let parts: Vec<Value> = value.try_iter()?.collect();
    match parts.as_slice() {
        [item, key] => match (item.as_str(), key.as_str()) {
            (Some(item), Some(key)) => Ok((item.into(), key.into())),
            _ => Err(invalid("tojson: separators are strings")),
        },
        _ => Err(invalid("tojson: separators are two strings")),
    }
}

struct Writer {
    out: String,
    indent: Option<String>,
    separators: (String, String),
    sort_keys: bool,
}

impl Writer {
    fn write(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEEPEST {
            return Err(invalid("tojson: nested too deeply"));
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.out.push_str(&number(value)),
            ValueKind::String => self.write_string(value.as_str().unwrap_or_default()),
            ValueKind::Map => self.write_map(value, depth)?,
            ValueKind::Iterable if is_generator(value) => {
                return Err(invalid("tojson: a generator is not JSON serializable"))
            }
            ValueKind::Seq | ValueKind::Iterable => self.write_list(value, depth)?,
            kind => return Err(invalid(format!("tojson: {kind} is not JSON serializable"))),
        }
        Ok(())
    }

    fn write_list(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.out.push('[');
        let mut empty = true;
        for item in value.try_iter()? {
            self.begin_item(empty, depth);
            self.write(&item, depth + 1)?;
            empty = false;
        }
        self.end(empty, depth);
        self.out.push(']');
        Ok(())
    }

    fn write_map(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let mut members = vec![];
        for key in value.try_iter()? {
            members.push((key_text(&key)?, value.get_item(&key)?));
        }
        if self.sort_keys {
            members.sort_by(|a, b| a.0.cmp(&b.0));
        }
        self.out.push('{');
        for (i, (key, item)) in members.iter().enumerate() {
            self.begin_item(i == 0, depth);
            self.write_string(key);
            self.out.push_str(&self.separators.1);
            self.write(item, depth + 1)?;
        }
        self.end(members.is_empty(), depth);
        self.out.push('}');
        Ok(())
    }

    fn begin_item(&mut self, first: bool, depth: usize) {
        if !first {
            self.out.push_str(&self.separators.0);
        }
        self.new_line(depth + 1);
    }

    fn end(&mut self, empty: bool, depth: usize) {
        if !empty {
            self.new_line(depth);
        }
    }

    fn new_line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            for _ in 0..depth {
                self.out.push_str(indent);
            }
        }
    }

    fn write_string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '\0'..' ' => escape(&mut self.out, c as u16),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    match f64::try_from(value.clone()) {
        Ok(number) if number.is_nan() => "NaN".into(),
        Ok(number) if number.is_infinite() => if number > 0.0 { "Infinity" } else { "-Infinity" }.into(),
        Ok(number) => repr::float(number),
        Err(_) => value.to_string(),
    }
}

/// A key: a string, or what Python makes of a number, a boolean or None.
fn key_text(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::String => Ok(key.as_str().unwrap_or_default().into()),
        ValueKind::None => Ok("null".into()),
        ValueKind::Bool => Ok(if key.is_true() { "true" } else { "false" }.into()),
        ValueKind::Number => Ok(number(key)),
        kind => Err(invalid(format!("tojson: a key cannot be a {kind}"))),
    }
}

fn ascii_only(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escape(&mut out, *unit));
        }
    }
    out
}

fn escape(out: &mut String, unit: u16) {
    // Writing to a String does not fail.
    let _ = write!(out, "\\u{unit:04x}");
}

#[cfg(test)]
mod tests {
    use crate::template::builtins::environment;
    use minijinja::{context, Value};

    fn render(expression: &str, value: Value) -> String {
        environment().render_str(&format!("{{{{ {expression} }}}}"), context! { v => value }).unwrap()
    }

    #[test]
    fn json_is_written_as_python_does() {
        let value = context! { b => vec![1, 2], a => "é<\"\u{1}\u{7f}", e => Vec::<Value>::new(), f => 1e16 };
        for (expression, want) in [
            ("v|tojson", r#"{"b": [1, 2], "a": "é<\"\u0001"#.to_string() + "\u{7f}" + r#"", "e": [], "f": 1e+16}"#),
            ("v.b|tojson(indent=2)", "[\n  1,\n  2\n]".into()),
            ("v.b|tojson(indent='\\t')", "[\n\t1,\n\t2\n]".into()),
            ("v.e|tojson(indent=2)", "[]".into()),
            ("v.b|tojson(separators=(',', ':'))", "[1,2]".into()),
            ("{'a': v.b}|tojson(separators=[',', ':'])", r#"{"a":[1,2]}"#.into()),
            ("{'b': 1, 'a': 2}|tojson(sort_keys=true)", r#"{"a": 2, "b": 1}"#.into()),
            ("'é😀'|tojson(ensure_ascii=true)", r#""\u00e9\ud83d\ude00""#.into()),
            ("'é'|tojson(true)", r#""\u00e9""#.into()),
            ("{1: none, true: 1.0}|tojson", r#"{"1": null, "true": 1.0}"#.into()),
        ] {
            assert_eq!(render(expression, value.clone()), want, "{expression}");
        }
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        for expression in ["nothing|tojson", "v|tojson(indnt=2)", "v|tojson(indent=10**9)"] {
            let source = format!("{{{{ {expression} }}}}");
            assert!(environment().render_str(&source, context! { v => 1 }).is_err(), "{expression}");
        }
    }
}
