//! The environment that a chat template finds: settings, filters, tests and
//! functions of jinja2 as transformers sets it up, where minijinja's own differ.

use super::{clock, filters, generators, json, loops, methods, repr};
use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State};
use std::fmt;

pub fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_trim_blocks(true);
    env.set_lstrip_blocks(true);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_formatter(print);
    env.set_unknown_method_callback(methods::call);

    env.add_filter("tojson", json::tojson);
    env.add_filter("string", |value: Value| repr::str(&value).map_err(unprintable));
    env.add_filter("trim", trim);
    env.add_filter(loops::FILTER, loops::iterated);
    generators::add_filters(&mut env);
    filters::add(&mut env);

    env.add_test("iterable", is_iterable);
    env.add_test("sequence", is_iterable);
    env.add_test("number", |value: Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool));

    env.add_function("raise_exception", raise_exception);
    env.add_function("strftime_now", clock::strftime_now);
    env.add_function("cycler", |items: Rest<Value>| minijinja_contrib::globals::cycler(items.0));
    env.add_function("joiner", minijinja_contrib::globals::joiner);
    // Prints the whole state, the hidden clock too; jinja2 has no such function.
    env.remove_global("debug");
    env
}

/// `{{ value }}`.
fn print(out: &mut Output, _: &State, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => out.write_str(text),
        None => repr::str(value).and_then(|text| out.write_str(&text)),
    }
    .map_err(unprintable)
}

fn unprintable(_: fmt::Error) -> Error {
    Error::new(ErrorKind::InvalidOperation, "a value is nested too deeply, or the text too long")
}

/// `value|trim`: Python's `str(value).strip(chars)`.
fn trim(value: Value, chars: Option<String>) -> Result<String, Error> {
    let text = repr::str(&value).map_err(unprintable)?;
    Ok(text.trim_matches(methods::stripped(chars.as_deref())).to_string())
}

/// Strings, maps and undefined values have a length and items in Python.
fn is_iterable(value: Value) -> bool {
    matches!(
        value.kind(),
        ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Iterable | ValueKind::Undefined
    )
}

/// A refusal that the template itself spoke, with its message.
#[derive(Debug)]
pub struct Raised(pub String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

fn raise_exception(message: Value) -> Result<Value, Error> {
    let message = repr::str(&message).map_err(unprintable)?;
    Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    fn render(source: &str) -> String {
        environment()
            .render_str(source, context! { l => vec![1, 2], s => "text", n => (), t => true, f => 1e16 })
            .unwrap_or_else(|e| format!("error: {e}"))
    }

    #[test]
    fn values_print_as_in_python() {
        for (source, want) in [
            ("{{ n }} {{ t }} {{ l }} {{ f }} {{ missing }}|", "None True [1, 2] 1e+16 |"),
            ("{{ {'a': 'b'} }}", "{'a': 'b'}"),
            ("{{ n ~ t ~ 'x' }}", "NoneTruex"),
            ("{{ l|string ~ n|string }}", "[1, 2]None"),
            ("{{ '<b> & \"' }}", "<b> & \""),
        ] {
            assert_eq!(render(source), want, "{source}");
        }
    }

    #[test]
    fn kinds_are_those_of_python() {
        for (expression, want) in [
            ("s is iterable", true),
            ("s is sequence", true),
            ("l is sequence", true),
            ("{} is sequence", true),
            ("n is iterable", false),
            ("1 is iterable", false),
            ("t is number", true),
            ("t is integer", false),
            ("l is mapping", false),
            ("s is string", true),
        ] {
            assert_eq!(render(&format!("{{{{ {expression} }}}}")) == "True", want, "{expression}");
        }
    }

    #[test]
    fn blocks_leave_no_blank_lines() {
        assert_eq!(render("{% if t %}\n  {% set x = 1 %}\na\n{% endif %}\nb\n"), "a\nb");
    }

    #[test]
    fn trim_takes_pythons_white_space() {
        assert_eq!(render("{{ ' \\n\\x1c a \\x1f'|trim }}|{{ 'xxaxx'|trim('x') }}|{{ n|trim }}"), "a|a|None");
    }

    #[test]
    fn a_raised_exception_keeps_its_message() {
        let error = environment().render_str("{{ raise_exception('no: ' ~ s) }}", context! { s => "x" }).unwrap_err();
        let source = std::error::Error::source(&error).and_then(|s| s.downcast_ref::<Raised>());
        assert_eq!(source.map(|r| r.0.as_str()), Some("no: x"));
    }
}
