//! A template's source as text and tags, for rewriting single tags. Only as much
//! of the syntax is known as it takes to find where a tag ends.

use std::borrow::Cow;

/// The source with block tags (`{% … %}`) replaced where `rewrite` has something
/// else for one. Comments, expressions and raw blocks stay as they are.
pub fn rewrite(source: &str, rewrite: impl Fn(&str) -> Option<String>) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(start) = source[at..].find('{').map(|i| at + i) {
        let rest = &source[start..];
        let length = match rest.as_bytes().get(1) {
            Some(b'#') => rest.find("#}").map(|i| i + 2),
            Some(b'{') => tag_length(rest, "}}"),
            Some(b'%') => tag_length(rest, "%}"),
            _ => Some(1),
        };
        // The engine reports what is not closed.
        let Some(length) = length else { break };
        at = start + length;
        if !rest.starts_with("{%") {
            continue;
        }
        let tag = &source[start..at];
        if keyword(tag) == "raw" {
            at += raw_length(&source[at..]);
        } else if let Some(new) = rewrite(tag) {
            out.push_str(&source[copied..start]);
            out.push_str(&new);
            copied = at;
        }
    }
    match copied {
        0 => Cow::Borrowed(source),
        _ => Cow::Owned(out + &source[copied..]),
    }
}

/// What stands between a tag's delimiters and their white space marks.
pub fn inside(tag: &str) -> &str {
    let mark = |c| c == '-' || c == '+';
    let inner = tag.strip_prefix("{%").and_then(|t| t.strip_suffix("%}")).unwrap_or_default();
    let inner = inner.strip_prefix(mark).unwrap_or(inner);
    inner.strip_suffix(mark).unwrap_or(inner).trim()
}

/// A tag's first word.
pub fn keyword(tag: &str) -> &str {
    let inner = inside(tag);
    &inner[..inner.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inner.len())]
}

/// How long the tag at the start of `text` is; None where it does not end.
fn tag_length(text: &str, close: &str) -> Option<usize> {
    code(text, 2).find(|(at, depth)| *depth <= 0 && text[*at..].starts_with(close)).map(|(at, _)| at + 2)
}

/// How long the raw block is whose opening tag lies before `text`.
fn raw_length(text: &str) -> usize {
    text.match_indices("{%").find(|(at, _)| inside_any(&text[*at..]) == "endraw").map_or(text.len(), |(at, _)| at)
}

fn inside_any(text: &str) -> &str {
    text.find("%}").map_or("", |end| inside(&text[..end + 2]))
}

/// The places in `text` from `start` on that are not inside a string, with the
/// depth of brackets there (a bracket itself counts as outside).
pub fn code(text: &str, start: usize) -> impl Iterator<Item = (usize, i32)> + '_ {
    let mut quote = None;
    let mut escaped = false;
    let mut depth = 0;
    text[start..].char_indices().filter_map(move |(i, c)| {
        if let Some(open) = quote {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == open {
                quote = None;
            }
            return None;
        }
        let here = match c {
            '(' | '[' | '{' => {
                depth += 1;
                depth - 1
            }
            ')' | ']' | '}' => {
                depth -= 1;
                depth.max(0)
            }
            _ => depth,
        };
        depth = depth.max(0);
        if c == '\'' || c == '"' {
            quote = Some(c);
        }
        Some((start + i, here))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upper(source: &str) -> String {
        rewrite(source, |tag| Some(tag.to_uppercase())).into_owned()
    }

    #[test]
    fn only_block_tags_are_rewritten() {
        for (source, want) in [
            ("a{% b %}c", "a{% B %}c"),
            ("{# {% a %} #}{% b %}", "{# {% a %} #}{% B %}"),
            ("{{ '{% a %}' }}{% b %}", "{{ '{% a %}' }}{% B %}"),
            ("{{ {'a': {}} }}{% b %}", "{{ {'a': {}} }}{% B %}"),
            ("{% a '%}' %}{% b %}", "{% A '%}' %}{% B %}"),
            ("{% a '\\'%}' %}", "{% A '\\'%}' %}"),
            ("{% raw %}{% a %}{%- endraw -%}{% b %}", "{% raw %}{% a %}{%- ENDRAW -%}{% B %}"),
            ("{% a {'b': {}} %}", "{% A {'B': {}} %}"),
            ("{ % } {% a", "{ % } {% a"),
            ("é{% ö %}", "é{% Ö %}"),
            ("", ""),
        ] {
            assert_eq!(upper(source), want);
        }
    }

    #[test]
    fn a_tag_has_a_keyword() {
        assert_eq!(keyword("{%- for x in y -%}"), "for");
        assert_eq!(keyword("{%+endfor%}"), "endfor");
        assert_eq!(inside("{%- set x = -1 -%}"), "set x = -1");
    }
}
