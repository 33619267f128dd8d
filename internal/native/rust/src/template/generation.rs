//! The `generation` tag, with which transformers marks assistant tokens for
//! training. Its body renders as ever, in a scope of its own.

/// The source with `{% generation %} … {% endgeneration %}` made `{% with %} …`,
/// white space control and line numbers kept.
pub fn without_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let Some(end) = rest.find("%}").map(|i| i + 2) else { break };
        match renamed(&rest[..end]) {
            Some(tag) => {
                out.push_str(&tag);
                rest = &rest[end..];
            }
            None => {
                out.push_str("{%");
                rest = &rest[2..];
            }
        }
    }
    out + rest
}

/// The tag under its other name, if it is a `generation` tag.
fn renamed(tag: &str) -> Option<String> {
    let inside = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let word = inside.trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim();
    let name = match word {
        "generation" => "with",
        "endgeneration" => "endwith",
        _ => return None,
    };
    Some(tag.replacen(word, name, 1))
}

#[cfg(test)]
mod tests {
    use super::without_tags;

    #[test]
    fn the_tag_becomes_a_scope() {
        for (source, want) in [
            ("a{% generation %}b{% endgeneration %}c", "a{% with %}b{% endwith %}c"),
            ("{%- generation -%}\n{%-endgeneration%}", "{%- with -%}\n{%-endwith%}"),
            ("{% if generation %}{{ generation }}{% endif %}", "{% if generation %}{{ generation }}{% endif %}"),
            ("{% set x = '{% generation %}", "{% set x = '{% with %}"),
            ("{% unclosed", "{% unclosed"),
            ("", ""),
        ] {
            assert_eq!(without_tags(source), want);
        }
    }
}
