//! The `generation` tag, with which transformers marks assistant tokens for
//! training. Its body renders as ever, in a scope of its own.

use super::tags::inside;

/// A `generation` tag as a `with` tag, its white space marks kept. None for
/// other tags.
pub fn renamed(tag: &str) -> Option<String> {
    let word = inside(tag);
    let name = match word {
        "generation" => "with",
        "endgeneration" => "endwith",
        _ => return None,
    };
    Some(tag.replacen(word, name, 1))
}

#[cfg(test)]
mod tests {
    use super::renamed;

    #[test]
    fn the_tag_becomes_a_scope() {
        for (tag, want) in [
            ("{% generation %}", Some("{% with %}")),
            ("{%-endgeneration -%}", Some("{%-endwith -%}")),
            ("{% if generation %}", None),
            ("{% set generation = 1 %}", None),
        ] {
            assert_eq!(renamed(tag).as_deref(), want);
        }
    }
}
