//! Text to tokens, with spans in which added tokens are plain text.
//!
//! The tokenizers crate recognises an added token wherever its text stands, so
//! that a user who writes `<|im_end|>` would end his own turn. Here the caller
//! names the spans that are only text. What surrounds a span is encoded
//! together with it, as though the vocabulary did not hold those tokens.

use crate::abi::Failure;
use std::ops::Range as Bytes;
use tokenizers::normalizer::Range;
use tokenizers::tokenizer::{
    Encoding, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, Result,
    Token,
};
use tokenizers::{Model, Tokenizer};

/// One encoding.
pub struct Call<'a> {
    pub text: &'a str,
    pub plain: &'a [Bytes<usize>],
    pub add_special: bool,
    pub offsets: bool,
}

/// Pairs of numbers as ranges.
pub fn spans(numbers: &[u64]) -> Vec<Bytes<usize>> {
    numbers.chunks_exact(2).map(|pair| pair[0] as usize..pair[1] as usize).collect()
}

impl Call<'_> {
    pub fn run(&self, tokenizer: &Tokenizer) -> std::result::Result<Encoding, Failure> {
        self.check()?;
        let encoding = match (self.plain.is_empty(), self.offsets) {
            (true, true) => tokenizer.encode(self.text, self.add_special),
            (true, false) => tokenizer.encode_fast(self.text, self.add_special),
            (false, _) => self.around_spans(tokenizer),
        };
        encoding.map_err(|e| e.to_string().into())
    }

    fn check(&self) -> std::result::Result<(), Failure> {
        let mut end = 0;
        for span in self.plain {
            let in_order = end <= span.start && span.start <= span.end;
            if !in_order || self.text.get(span.clone()).is_none() {
                return Err(format!("span {}..{} does not fit the text", span.start, span.end).into());
            }
            end = span.end;
        }
        Ok(())
    }

    /// What `Tokenizer::encode` does, but with added tokens looked for in a copy
    /// of the text whose spans are masked.
    ///
    /// One thing is lost: where the normalizer puts a space in front and a token
    /// that is looked for in normalized text stands first, that space counts as
    /// the token's (tokenizers of the first Llamas).
    fn around_spans(&self, tokenizer: &Tokenizer) -> Result<Encoding> {
        let added = added_tokens(tokenizer, &masked(self.text, self.plain));
        let normalizer = tokenizer.get_normalizer();

        let mut text = PreTokenizedString::from(self.text);
        // Two rounds, as in the crate: tokens of the raw text first, then those
        // that are looked for in the normalized text between them.
        text.split(|_, piece| cut(piece, added.iter().filter(|a| !a.normalized)))?;
        text.split(|_, mut piece| {
            if let Some(normalizer) = normalizer {
                normalizer.normalize(&mut piece)?;
            }
            cut(piece, added.iter().filter(|a| a.normalized))
        })?;
        if let Some(pre_tokenizer) = tokenizer.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut text)?;
        }
        text.tokenize(|piece| tokenizer.get_model().tokenize(piece.get()))?;
        let offsets = if self.offsets { OffsetType::Byte } else { OffsetType::None };
        tokenizer.post_process(text.into_encoding(None, 0, offsets)?, None, self.add_special)
    }
}

/// An added token's place in the text.
struct Added {
    at: Bytes<usize>,
    id: u32,
    normalized: bool,
}

fn added_tokens(tokenizer: &Tokenizer, text: &str) -> Vec<Added> {
    let vocabulary = tokenizer.get_added_vocabulary();
    let known = vocabulary.get_added_tokens_decoder();
    let found = vocabulary.extract_and_normalize(tokenizer.get_normalizer(), text);
    found
        .get_splits(OffsetReferential::Original, OffsetType::Byte)
        .into_iter()
        .filter_map(|(_, (start, end), tokens)| {
            let id = tokens.as_ref()?.first()?.id;
            Some(Added { at: start..end, id, normalized: known.get(&id).is_some_and(|t| t.normalized) })
        })
        .collect()
}

/// The text with every character inside the spans replaced by another of the
/// same length that no token spells.
fn masked(text: &str, spans: &[Bytes<usize>]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for span in spans {
        masked.push_str(&text[end..span.start]);
        masked.extend(text[span.clone()].chars().map(|c| match c.len_utf8() {
            1 => '\u{1}',
            2 => '\u{7FF}',
            3 => '\u{F8FF}',
            _ => '\u{10FFFD}',
        }));
        end = span.end;
    }
    masked.push_str(&text[end..]);
    masked
}

/// Cuts `piece` at the added tokens that lie in it. The cuts are made in its
/// normalized text: that may hold characters of no place in the original, such
/// as a space that the normalizer puts in front.
fn cut<'a>(
    piece: NormalizedString,
    added: impl Iterator<Item = &'a Added>,
) -> Result<Vec<(NormalizedString, Option<Vec<Token>>)>> {
    const SPLIT: &str = "an added token splits a character";
    let (base, limit) = piece.offsets_original();
    let slice = |range: Bytes<usize>| piece.slice(Range::Normalized(range)).ok_or(SPLIT);
    let mut parts = vec![];
    let mut end = 0;
    for token in added.filter(|a| base <= a.at.start && a.at.end <= limit) {
        let original = token.at.start - base..token.at.end - base;
        let at = piece.convert_offsets(Range::Original(original)).ok_or(SPLIT)?;
        if end < at.start {
            parts.push((slice(end..at.start)?, None));
        }
        end = at.end;
        let text = slice(at)?;
        let (value, len) = (text.get().to_owned(), text.len());
        parts.push((text, Some(vec![Token::new(token.id, value, (0, len))])));
    }
    match (parts.is_empty(), end < piece.len()) {
        (true, _) => parts.push((piece, None)),
        (false, true) => parts.push((slice(end..piece.len())?, None)),
        (false, false) => {}
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as tokens, `<end>` as a special and `[day]` as a normalized token.
    fn tokenizer() -> Tokenizer {
        let bytes: Vec<String> = "abcdefghijklmnopqrstuvwxyz<>[] "
            .chars()
            .enumerate()
            .map(|(i, c)| format!("{:?}: {i}", c.to_string()))
            .collect();
        let added = |id: u32, content: &str, special: bool, normalized: bool| {
            format!(
                r#"{{"id": {id}, "content": "{content}", "special": {special}, "normalized": {normalized},
                     "single_word": false, "lstrip": false, "rstrip": false}}"#
            )
        };
        let json = format!(
            r#"{{"version": "1.0", "truncation": null, "padding": null, "pre_tokenizer": null,
                "post_processor": null, "decoder": null, "normalizer": {{"type": "Lowercase"}},
                "added_tokens": [{}, {}],
                "model": {{"type": "BPE", "vocab": {{{}}}, "merges": []}}}}"#,
            added(31, "<end>", true, false),
            added(32, "[day]", false, true),
            bytes.join(",")
        );
        Tokenizer::from_bytes(json).unwrap()
    }

    fn ids(text: &str, plain: &[Bytes<usize>]) -> Vec<u32> {
        let call = Call { text, plain, add_special: false, offsets: false };
        call.run(&tokenizer()).unwrap().get_ids().to_vec()
    }

    #[test]
    fn a_span_is_text_and_its_neighbours_are_not() {
        assert_eq!(ids("a<end>b<end>", &[]), [0, 31, 1, 31]);
        assert_eq!(ids("a<end>b<end>", &[1..6]), [0, 26, 4, 13, 3, 27, 1, 31]);
        assert_eq!(ids("a<end>b<end>", &[7..12]), [0, 31, 1, 26, 4, 13, 3, 27]);
    }

    #[test]
    fn a_token_that_only_touches_a_span_is_text_too() {
        assert_eq!(ids("<end>", &[2..3]), [26, 4, 13, 3, 27]);
    }

    #[test]
    fn normalized_tokens_are_found_around_spans() {
        assert_eq!(ids("A[DAY]<end>[day]", &[6..11]), [0, 32, 26, 4, 13, 3, 27, 32]);
        assert_eq!(ids("A[DAY]<end>b", &[1..6]), [0, 28, 3, 0, 24, 29, 31, 1]);
    }

    #[test]
    fn an_empty_span_changes_nothing() {
        for text in ["", "abc", "a<end>[Day] b", "<end><end>"] {
            assert_eq!(ids(text, &[0..0]), ids(text, &[]), "{text}");
        }
    }

    #[test]
    fn offsets_count_bytes_of_the_text() {
        let call = Call { text: "A<end>b", plain: &[0..1], add_special: false, offsets: true };
        let encoding = call.run(&tokenizer()).unwrap();
        assert_eq!(encoding.get_offsets(), [(0, 1), (1, 6), (6, 7)]);
    }

    #[test]
    fn spans_out_of_order_or_of_range_are_refused() {
        for plain in [vec![2..1], vec![0..9], vec![2..3, 1..2], vec![0..1]] {
            let call = Call { text: "éa", plain: &plain, add_special: false, offsets: false };
            assert!(call.run(&tokenizer()).is_err(), "{plain:?}");
        }
    }
}
