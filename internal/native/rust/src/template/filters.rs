//! Filters of jinja2 that minijinja lacks, or that answer otherwise there.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};

pub fn add(env: &mut Environment) {
    env.add_filter("length", length);
    env.add_filter("count", length);
    env.add_filter("int", int);
    env.add_filter("round", round);
    env.add_filter("sum", sum);
    env.add_filter("center", |text: String, width: Option<usize>| center(&text, width.unwrap_or(80)));
    env.add_filter("wordcount", |text: String| {
        text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).count()
    });
    env.add_filter("truncate", minijinja_contrib::filters::truncate);
    env.add_filter("striptags", minijinja_contrib::filters::striptags);
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// An undefined value has no items; None and numbers have no length.
fn length(value: Value) -> Result<usize, Error> {
    match value.kind() {
        ValueKind::Undefined => Ok(0),
        kind => value.len().ok_or_else(|| invalid(format!("a {kind} has no length"))),
    }
}

/// `value|int(default=0, base=10)`: the default is for what is no number.
fn int(value: Value, default: Option<Value>, base: Option<u32>, named: Kwargs) -> Result<Value, Error> {
    let default = match default {
        Some(default) => default,
        None if named.has("default") => named.get("default")?,
        None => Value::from(0),
    };
    let base = base.or(named.get("base")?).unwrap_or(10);
    named.assert_all_used()?;
    let number = match value.as_str() {
        Some(text) => parse_int(text.trim(), base),
        None if value.kind() == ValueKind::Bool => Some(Value::from(value.is_true() as i64)),
        None if value.is_integer() => Some(value),
        None => f64::try_from(value).ok().filter(|f| f.is_finite()).map(|f| Value::from(f as i128)),
    };
    Ok(number.unwrap_or(default))
}

fn parse_int(text: &str, base: u32) -> Option<Value> {
    if !(2..=36).contains(&base) {
        return None;
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let prefix = match base {
        16 => "0x",
        8 => "0o",
        2 => "0b",
        _ => "",
    };
    let lower = lower.strip_prefix(prefix).unwrap_or(&lower).replace('_', "");
    let whole = i128::from_str_radix(&lower, base).ok().map(|n| if negative { -n } else { n });
    match whole {
        Some(number) if lower.starts_with(|c: char| c.is_alphanumeric()) => Some(Value::from(number)),
        _ => text.parse::<f64>().ok().filter(|f| f.is_finite()).map(|f| Value::from(f as i128)),
    }
}

/// `value|round(precision=0, method='common')`: halves go to the even neighbour,
/// as Python's `round` has it.
fn round(value: Value, precision: Option<i32>, method: Option<String>, named: Kwargs) -> Result<Value, Error> {
    let precision = precision.or(named.get("precision")?).unwrap_or(0);
    let method = method.or(named.get("method")?).unwrap_or_else(|| "common".into());
    named.assert_all_used()?;
    let number = f64::try_from(value.clone()).map_err(|_| invalid("round: a number is expected"))?;
    let scale = 10f64.powi(precision.clamp(-300, 300));
    Ok(match method.as_str() {
        "common" if value.is_integer() && precision >= 0 => value,
        // Formatting rounds the exact value of the number, halves to even.
        "common" if precision >= 0 => {
            Value::from(format!("{number:.*}", precision.min(300) as usize).parse::<f64>().unwrap_or(number))
        }
        "common" => Value::from((number * scale).round_ties_even() / scale),
        "ceil" => Value::from((number * scale).ceil() / scale),
        "floor" => Value::from((number * scale).floor() / scale),
        other => return Err(invalid(format!("round: no method '{other}'"))),
    })
}

/// `values|sum(attribute=None, start=0)`.
fn sum(values: Value, attribute: Option<Value>, named: Kwargs) -> Result<Value, Error> {
    let attribute = attribute.or(named.get("attribute")?).filter(|a| !a.is_none());
    let start = named.get::<Option<Value>>("start")?.unwrap_or(Value::from(0));
    named.assert_all_used()?;
    let (mut whole, mut real, mut is_whole) = (0i128, 0f64, start.is_integer());
    let mut add = |value: &Value| {
        let number = f64::try_from(value.clone()).map_err(|_| invalid("sum: numbers are expected"))?;
        real += number;
        is_whole = is_whole && value.is_integer();
        whole = whole.saturating_add(i128::try_from(value.clone()).unwrap_or(0));
        Ok::<(), Error>(())
    };
    add(&start)?;
    for value in values.try_iter()? {
        match &attribute {
            Some(name) => add(&value.get_item(name)?)?,
            None => add(&value)?,
        }
    }
    Ok(if is_whole { Value::from(whole) } else { Value::from(real) })
}

/// Python's `str.center`: of an odd margin, the greater part stands on the left
/// where the width is odd.
pub fn center(text: &str, width: usize) -> Result<String, Error> {
    let margin = width.saturating_sub(text.chars().count());
    let left = margin / 2 + (margin & width & 1);
    pad(text, left, margin - left, ' ')
}

/// Text between fillers. The width is bounded: who wants more wants to exhaust.
pub fn pad(text: &str, left: usize, right: usize, filler: char) -> Result<String, Error> {
    const WIDEST: usize = 10_000;
    if left + right > WIDEST {
        return Err(invalid(format!("a text cannot be padded by more than {WIDEST} characters")));
    }
    let fill = |n: usize| std::iter::repeat_n(filler, n).collect::<String>();
    Ok(fill(left) + text + &fill(right))
}

#[cfg(test)]
mod tests {
    use crate::template::builtins::environment;

    #[test]
    fn filters_answer_as_in_python() {
        for (expression, want) in [
            ("missing|length", "0"),
            ("none|length", "error"),
            ("'日本'|length", "2"),
            ("'x'|int", "0"),
            ("'x'|int(7)", "7"),
            ("'x'|int(default=none)", "None"),
            ("' 42 '|int", "42"),
            ("'-3.9'|int", "-3"),
            ("'0x1f'|int(0, 16)", "31"),
            ("2.9|int", "2"),
            ("true|int", "1"),
            ("2.5|round", "2.0"),
            ("3.5|round", "4.0"),
            ("2.567|round(2)", "2.57"),
            ("2.5|round(0, 'floor')", "2.0"),
            ("3.2|round(method='ceil')", "4.0"),
            ("3|round", "3"),
            ("[1, 2]|sum", "3"),
            ("[1, 2.5]|sum", "3.5"),
            ("[{'v': 1}, {'v': 2}]|sum(attribute='v')", "3"),
            ("[1]|sum(start=5)", "6"),
            ("'ab'|center(5)", "  ab "),
            ("'ab'|center(6)", "  ab  "),
            ("'ab'|center(10**9)", "error"),
            ("'one two, three'|wordcount", "3"),
        ] {
            let got =
                environment().render_str(&format!("{{{{ {expression} }}}}"), ()).unwrap_or_else(|_| "error".into());
            assert_eq!(got, want, "{expression}");
        }
    }
}
