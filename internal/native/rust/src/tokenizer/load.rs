//! tokenizer.json to a tokenizer, fast.
//!
//! The tokenizers crate finds out which model and which kind of merges a file
//! holds by trying, over trees of the whole vocabulary that it builds for that:
//! three times the work of reading it. Here a file is first read as what nearly
//! all are, BPE, straight into its tables; only where that fails does the crate
//! try the others, and it is the crate that says what is wrong with a file.

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use tokenizers::decoders::DecoderWrapper;
use tokenizers::models::bpe::{BpeTrainer, Vocab, BPE};
use tokenizers::models::ModelWrapper;
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::tokenizer::{Result, Token, TokenizerImpl};
use tokenizers::{Model, Tokenizer};

/// A tokenizer whose model is known to be BPE; its other parts are any.
type OfBpe = TokenizerImpl<Known, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// Reads a tokenizer.json as `Tokenizer::from_bytes` does.
pub fn tokenizer(json: &[u8]) -> Result<Tokenizer> {
    match serde_json::from_slice::<OfBpe>(json) {
        Ok(tokenizer) => Ok(tokenizer.into()),
        Err(_) => Tokenizer::from_bytes(json),
    }
}

/// A model that is read as BPE.
struct Known(BPE);

/// The model section of a tokenizer.json.
#[derive(serde::Deserialize)]
struct Section {
    #[serde(rename = "type")]
    kind: Option<String>,
    dropout: Option<f32>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    fuse_unk: Option<bool>,
    byte_fallback: Option<bool>,
    ignore_merges: Option<bool>,
    vocab: Vocab,
    merges: Vec<Merge>,
}

impl<'de> Deserialize<'de> for Known {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let section = Section::deserialize(deserializer)?;
        if section.kind.is_some_and(|kind| kind != "BPE") {
            return Err(D::Error::custom("another model"));
        }
        let merges = section.merges.into_iter().map(|merge| (merge.0, merge.1)).collect();
        let mut builder = BPE::builder()
            .vocab_and_merges(section.vocab, merges)
            .fuse_unk(section.fuse_unk.unwrap_or_default())
            .byte_fallback(section.byte_fallback.unwrap_or_default())
            .ignore_merges(section.ignore_merges.unwrap_or_default());
        if let Some(dropout) = section.dropout {
            builder = builder.dropout(dropout);
        }
        if let Some(token) = section.unk_token {
            builder = builder.unk_token(token);
        }
        if let Some(prefix) = section.continuing_subword_prefix {
            builder = builder.continuing_subword_prefix(prefix);
        }
        if let Some(suffix) = section.end_of_word_suffix {
            builder = builder.end_of_word_suffix(suffix);
        }
        builder.build().map(Known).map_err(D::Error::custom)
    }
}

/// Two neighbours that become one token: a pair, or in older files a line.
struct Merge(String, String);

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(MergeVisitor)
    }
}

struct MergeVisitor;

impl<'de> Visitor<'de> for MergeVisitor {
    type Value = Merge;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a merge")
    }

    fn visit_str<E: Error>(self, line: &str) -> std::result::Result<Merge, E> {
        // A line that is none, such as a version, is left to the crate.
        match line.split_once(' ') {
            Some((a, b)) if !b.contains(' ') && !a.starts_with('#') => Ok(Merge(a.to_owned(), b.to_owned())),
            _ => Err(E::custom("not a merge")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> std::result::Result<Merge, A::Error> {
        let missing = || A::Error::custom("not a merge");
        let a = pair.next_element()?.ok_or_else(missing)?;
        let b = pair.next_element()?.ok_or_else(missing)?;
        match pair.next_element::<String>()? {
            None => Ok(Merge(a, b)),
            Some(_) => Err(missing()),
        }
    }
}

impl From<Known> for ModelWrapper {
    fn from(model: Known) -> Self {
        model.0.into()
    }
}

/// What the crate asks of a model before it takes it as its own.
impl Model for Known {
    type Trainer = BpeTrainer;

    fn tokenize(&self, sequence: &str) -> Result<Vec<Token>> {
        self.0.tokenize(sequence)
    }
    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.0.token_to_id(token)
    }
    fn id_to_token(&self, id: u32) -> Option<String> {
        self.0.id_to_token(id)
    }
    fn get_vocab(&self) -> HashMap<String, u32> {
        self.0.get_vocab()
    }
    fn get_vocab_size(&self) -> usize {
        self.0.get_vocab_size()
    }
    fn save(&self, folder: &Path, prefix: Option<&str>) -> Result<Vec<PathBuf>> {
        self.0.save(folder, prefix)
    }
    fn get_trainer(&self) -> BpeTrainer {
        self.0.get_trainer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: &str = r#""version": "1.0", "truncation": null, "padding": null, "normalizer": {"type": "NFC"},
        "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
        "added_tokens": [{"id": 9, "content": "<e>", "special": true, "normalized": false,
                          "single_word": false, "lstrip": false, "rstrip": false}]"#;

    fn file(model: &str) -> String {
        format!(r#"{{{PARTS}, "model": {{{model}}}}}"#)
    }

    /// Models of each kind, as files have them.
    const MODELS: &[&str] = &[
        r#""type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]"#,
        r#""type": "BPE", "dropout": null, "unk_token": "a", "continuing_subword_prefix": "", "end_of_word_suffix": "",
           "fuse_unk": true, "byte_fallback": true, "ignore_merges": true,
           "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]"#,
        r##""type": "BPE", "vocab": {"#a": 0, "b": 1, "#ab": 2}, "merges": ["#version: 1", "#a b"]"##,
        r#""vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]"#,
        r#""type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a""#,
        r#""type": "WordPiece", "vocab": {"a": 0}, "unk_token": "a", "continuing_subword_prefix": "x", "max_input_chars_per_word": 9"#,
        r#""type": "Unigram", "unk_id": 0, "vocab": [["a", -1.0], ["b", -2.5]], "byte_fallback": false"#,
    ];

    #[test]
    fn a_file_is_read_as_the_crate_reads_it() {
        for model in MODELS {
            let json = file(model);
            let want = Tokenizer::from_bytes(&json).unwrap().to_string(false).unwrap();
            assert_eq!(tokenizer(json.as_bytes()).unwrap().to_string(false).unwrap(), want, "{model}");
        }
    }

    #[test]
    fn bpe_is_read_at_once() {
        for model in &MODELS[..2] {
            assert!(serde_json::from_str::<OfBpe>(&file(model)).is_ok(), "{model}");
        }
    }

    #[test]
    fn what_the_crate_refuses_is_refused_in_its_words() {
        for model in [
            r#""type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [["a", "b"]]"#,
            r#""type": "BPE", "vocab": {"a": 0}, "merges": ["a"]"#,
            r#""type": "BPE", "vocab": {"a": 0}, "merges": [["a"]]"#,
            r#""type": "BPE", "vocab": {"a": 0}, "merges": [["a", "a", "a"]]"#,
            r#""type": "BPE", "vocab": {"a": "0"}, "merges": []"#,
            r#""type": "BPE", "merges": []"#,
            r#""type": "BPE", "dropout": 2.0, "vocab": {"a": 0}, "merges": []"#,
        ] {
            let json = file(model);
            let want = Tokenizer::from_bytes(&json).unwrap_err().to_string();
            assert_eq!(tokenizer(json.as_bytes()).err().unwrap().to_string(), want, "{model}");
        }
    }
}
