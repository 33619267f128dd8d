//! Grammars: llguidance. A trie of the vocabulary, grammars compiled for it, and
//! matchers that follow one choice each.

use crate::abi::{borrow, borrow_text, caught, guard, Buffer, Failure};
use crate::deep::on_stack;
use crate::budget::{with_budget, Budget, Exhausted};
use crate::tokenizer::borrow_tokenizer;
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use llguidance::{Matcher, ParserFactory};
use std::ffi::{c_void, CStr};
use std::sync::Arc;
use std::time::Duration;

/// The version of llguidance in this library.
///
/// # Safety
/// As [`guard`].
#[no_mangle]
pub unsafe extern "C" fn native_grammar_version(out: *mut Buffer) -> i32 {
    guard(out, || {
        // SAFETY: llg_get_version returns a static string that ends in NUL.
        let version = CStr::from_ptr(llguidance::ffi::llg_get_version());
        Ok(version.to_bytes().to_vec())
    })
}

/// The vocabulary as grammars see it.
struct Vocabulary {
    trie: TokTrie,
    /// The tokenizer's handle; the caller keeps it alive for as long as this.
    tokenizer: usize,
}

/// What stands before a text that is encoded, so that the tokenizer does not take
/// it for the beginning of a text. No token joins it with what follows.
const BEFORE: &str = "\u{2}";

impl Vocabulary {
    /// The canonical tokens of a text; None where the tokenizer joins it with
    /// what stands before.
    fn encode(&self, text: &str) -> Option<Vec<TokenId>> {
        // SAFETY: see tokenizer.
        let tokenizer = unsafe { borrow_tokenizer(self.tokenizer as *const c_void) }.ok()?;
        let before = tokenizer.encode_fast(BEFORE, false).ok()?;
        let both = tokenizer.encode_fast(format!("{BEFORE}{text}"), false).ok()?;
        Some(both.get_ids().strip_prefix(before.get_ids())?.to_vec())
    }
}

impl TokenizerEnv for Vocabulary {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        self.trie.tokenize_with_greedy_fallback(bytes, |text| {
            self.encode(text).unwrap_or_else(|| self.trie.greedy_tokenize(text.as_bytes()))
        })
    }
}

/// Makes the trie of a vocabulary of `count` tokens. Token i's bytes end at
/// `ends[i]` in `data` and begin where those of the one before end; `control`
/// says of each whether it is a control token, which text never spells.
///
/// # Safety
/// As [`borrow`] and [`guard`]; `handle` is writable; `tokenizer` outlives it.
#[no_mangle]
pub unsafe extern "C" fn native_trie_new(
    data: *const u8,
    ends: *const u32,
    control: *const u8,
    count: usize,
    eos: *const u32,
    eos_count: usize,
    tokenizer: *const c_void,
    handle: *mut *mut c_void,
    out: *mut Buffer,
) -> i32 {
    guard(out, || {
        let (ends, control, eos) = (borrow(ends, count), borrow(control, count), borrow(eos, eos_count));
        let data = borrow(data, ends.last().map_or(0, |&n| n as usize));
        let mut from = 0;
        let mut words = Vec::with_capacity(count);
        for (&end, &control) in ends.iter().zip(control) {
            let mut word = Vec::new();
            if control != 0 {
                word.push(TokTrie::SPECIAL_TOKEN_MARKER);
            }
            word.extend_from_slice(data.get(from..end as usize).ok_or("the tokens' ends do not increase")?);
            words.push(word);
            from = end as usize;
        }
        let first = *eos.first().ok_or("a vocabulary needs a token that ends a text")?;
        if eos.iter().any(|&id| id as usize >= count) {
            return Err("an end token is not of the vocabulary".into());
        }
        let trie = TokTrie::from(&TokRxInfo::new(count as u32, first), &words).with_eos_tokens(eos);
        let env: TokEnv = Arc::new(Vocabulary { trie, tokenizer: tokenizer as usize });
        let capabilities = InferenceCapabilities { ff_tokens: true, ..Default::default() };
        let slices = llguidance::earley::SlicedBiasComputer::general_slices();
        let mut factory = ParserFactory::new(&env, capabilities, &slices).map_err(|e| e.to_string())?;
        factory.quiet();
        let limits = factory.limits_mut();
        limits.verbose_errors = false;
        limits.max_lexer_states = MAX_LEXER_STATES;
        limits.precompute_large_lexemes = false;
        *handle = Box::into_raw(Box::new(factory)).cast();
        Ok(vec![])
    })
}

/// A state of the lexer takes one to two kB: so many take what a grammar may.
const MAX_LEXER_STATES: usize = 25_000;

/// # Safety
/// `handle` comes from [`native_trie_new`], is given back once, and is in no call.
#[no_mangle]
pub unsafe extern "C" fn native_trie_free(handle: *mut c_void) {
    release::<ParserFactory>(handle)
}

unsafe fn release<T>(handle: *mut c_void) {
    let _ = caught(|| {
        drop(Box::from_raw(handle.cast::<T>()));
        Ok(())
    });
}

/// Bounds on compiling a grammar, and on one step of a matcher.
const COMPILE: Budget = Budget { memory: 64 << 20, time: Duration::from_secs(1), stack: STACK - (1 << 20) };
const STEP: Budget = Budget { memory: 64 << 20, time: Duration::from_secs(1), stack: 1 << 20 };

/// Bytes of the stack on which grammars are compiled: nested schemas recurse.
const STACK: usize = 64 << 20;

/// Runs `work` within a budget.
fn bounded<T>(what: &str, budget: Budget, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let over = |spent: Exhausted| Failure::over_limit(match spent {
        Exhausted::Memory => format!("{what} takes more than {} MiB", budget.memory >> 20),
        Exhausted::Time => format!("{what} takes more than {} ms", budget.time.as_millis()),
        Exhausted::Stack => format!("{what} nests too deeply"),
    });
    with_budget(budget, work).unwrap_or_else(|spent| Err(over(spent)))
}

/// The words of an error of llguidance, without what only its authors need.
fn in_words(e: impl std::fmt::Display) -> Failure {
    let text = format!("{e:#}");
    let text = text.split("<non-verbose/>").next().unwrap_or_default().trim();
    match text {
        "NoExtensionBias" | "NoExtension" => "the grammar matches no text".into(),
        _ => text.into(),
    }
}

/// Compiles a grammar: kind 0 a JSON schema, 1 a regular expression, 2 llguidance's
/// dialect of Lark.
///
/// # Safety
/// As [`borrow_text`] and [`guard`]; `trie` is live; `handle` is writable.
#[no_mangle]
pub unsafe extern "C" fn native_grammar_new(
    trie: *const c_void,
    kind: u8,
    source: *const u8,
    len: usize,
    handle: *mut *mut c_void,
    out: *mut Buffer,
) -> i32 {
    guard(out, || {
        let source = borrow_text(source, len)?;
        let factory = &*trie.cast::<ParserFactory>();
        let compile = || {
            let grammar = match kind {
                0 => TopLevelGrammar::from_json_schema(serde_json::from_str(source).map_err(|e| e.to_string())?),
                1 => TopLevelGrammar::from_regex(source),
                2 => TopLevelGrammar::from_lark(source.to_string()),
                _ => return Err("no such kind of grammar".into()),
            };
            let parser = factory.create_parser(grammar).map_err(in_words)?;
            let mut matcher = Matcher::new(Ok(parser));
            // The first mask finds what only shows when the lexer runs.
            matcher.compute_mask_or_eos().map_err(in_words)?;
            Ok(matcher)
        };
        let matcher = on_stack(STACK, || bounded("the grammar", COMPILE, compile))?;
        *handle = Box::into_raw(Box::new(Follower { matcher, mask: None })).cast();
        Ok(vec![])
    })
}

/// A matcher of its own at the grammar's beginning.
///
/// # Safety
/// As [`guard`]; `grammar` is live; `handle` is writable.
#[no_mangle]
pub unsafe extern "C" fn native_matcher_new(grammar: *const c_void, handle: *mut *mut c_void, out: *mut Buffer) -> i32 {
    guard(out, || {
        let matcher = (*grammar.cast::<Follower>()).matcher.deep_clone();
        *handle = Box::into_raw(Box::new(Follower { matcher, mask: None })).cast();
        Ok(vec![])
    })
}

/// # Safety
/// `handle` comes from [`native_grammar_new`] or [`native_matcher_new`], is given
/// back once, and is in no call.
#[no_mangle]
pub unsafe extern "C" fn native_matcher_free(handle: *mut c_void) {
    release::<Follower>(handle)
}

/// A matcher, and what may come next where that was asked for.
struct Follower {
    matcher: Matcher,
    mask: Option<SimpleVob>,
}

impl Follower {
    /// Takes one token; false where it does not fit. One that the mask allows is
    /// not tried before it is taken.
    fn take(&mut self, id: TokenId) -> Result<bool, Failure> {
        let mask = self.mask.take();
        if self.matcher.is_stopped() {
            return Ok(false);
        }
        let allowed = mask.is_some_and(|mask| (id as usize) < mask.len() && mask.is_allowed(id));
        if !allowed && self.matcher.validate_tokens(&[id]).map_err(in_words)? == 0 {
            return Ok(false);
        }
        self.matcher.consume_token(id).map_err(in_words)?;
        Ok(true)
    }
}

/// Writes the tokens that may come next, bit i of word i/32 for token i: those
/// that end a text where nothing else may come.
///
/// # Safety
/// As [`guard`]; `matcher` is live and in no other call; `words` are writable.
#[no_mangle]
pub unsafe extern "C" fn native_matcher_mask(
    matcher: *mut c_void,
    dst: *mut u32,
    words: usize,
    out: *mut Buffer,
) -> i32 {
    guard(out, || {
        let follower = &mut *matcher.cast::<Follower>();
        let dst = std::slice::from_raw_parts_mut(dst, words);
        bounded("a step of the grammar", STEP, || {
            if follower.mask.is_none() {
                follower.mask = Some(follower.matcher.compute_mask_or_eos().map_err(in_words)?);
            }
            let mask = follower.mask.as_ref().map_or(&[][..], SimpleVob::as_slice);
            let n = mask.len().min(dst.len());
            dst[..n].copy_from_slice(&mask[..n]);
            dst[n..].fill(0);
            Ok(vec![])
        })
    })
}

/// Takes tokens for as long as they fit. Writes to `state` how many were taken,
/// whether nothing may follow, and whether the text may end here, and gives the
/// tokens that must come next, as `u32`s; none where there is a choice.
///
/// # Safety
/// As [`borrow`] and [`guard`]; `matcher` is live and in no other call; `state` has
/// room for three.
#[no_mangle]
pub unsafe extern "C" fn native_matcher_accept(
    matcher: *mut c_void,
    ids: *const u32,
    count: usize,
    state: *mut u32,
    out: *mut Buffer,
) -> i32 {
    guard(out, || {
        let follower = &mut *matcher.cast::<Follower>();
        let ids = borrow(ids, count);
        let state = std::slice::from_raw_parts_mut(state, 3);
        bounded("a step of the grammar", STEP, || {
            let mut taken = 0;
            for &id in ids {
                if !follower.take(id)? {
                    break;
                }
                taken += 1;
            }
            let matcher = &mut follower.matcher;
            let stopped = matcher.is_stopped();
            let accepting = stopped || matcher.is_accepting().map_err(in_words)?;
            state.copy_from_slice(&[taken, stopped as u32, accepting as u32]);
            let forced = if stopped { vec![] } else { matcher.compute_ff_tokens() };
            Ok(forced.into_iter().flat_map(u32::to_ne_bytes).collect())
        })
    })
}
