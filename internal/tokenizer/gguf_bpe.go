package tokenizer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// How byte-level vocabularies cut text into words before they merge. The
// patterns are those of the models' own tokenizer.json files; a pattern is a
// part of what its model has learned.
const (
	splitGPT2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

	splitLlama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}` +
		`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	splitQwen2 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}` +
		`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

	splitDeepSeekV3 = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+" +
		`|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

	// deepseek-llm's letters: those of scripts with upper and lower case.
	casedLetters = `A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚ` +
		`Ḁ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳ` +
		`Ꙁ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃`
	hanAndHangul = `[一-龥ࠀ-一가-퟿]+`
)

// splitter is how one name of tokenizer.ggml.pre cuts text.
type splitter struct {
	parts        []any
	normalizer   any
	ignoreMerges bool // a word that is a token is that token, whatever the merges say
	addBOS       bool // where the file does not say
}

var (
	splitters = map[string]splitter{
		"gpt-2":   {parts: []any{split(splitGPT2)}},
		"default": {parts: []any{split(`[\p{P}\$\+<=>\^~\|]+`), split(splitGPT2), split(`\p{N}+`), split(`[0-9][0-9][0-9]`)}},
		"smollm":  {parts: []any{part{"type": "Digits", "individual_digits": true}, split(splitGPT2)}},
		// llama.cpp leaves text as it is; the model's own tokenizer composes it.
		"qwen2":            {parts: []any{split(splitQwen2)}, normalizer: part{"type": "NFC"}},
		"deepseek-r1-qwen": {parts: []any{split(splitQwen2)}},
		"llama-bpe":        {parts: []any{split(splitLlama3)}, ignoreMerges: true, addBOS: true},
		"deepseek-llm": {parts: []any{
			split(`[\r\n]`), split(`\s?[` + casedLetters + `]+`), split(`\s?[!-/:-~！-／：-～‘-‟　-。]+`),
			split(`\s+$`), split(hanAndHangul), split(`\p{N}+`),
		}},
		"deepseek-coder": {parts: []any{
			split(`[\r\n]`), split(`\s?\p{L}+`), split(`\s?\p{P}+`), split(hanAndHangul), split(`\p{N}`),
		}},
		"deepseek-v3": {parts: []any{split(`\p{N}{1,3}`), split(`[一-龥぀-ゟ゠-ヿ]+`), split(splitDeepSeekV3)}},
	}
	// sameSplit are further names of the same.
	sameSplit = map[string]string{
		"": "default", "phi-2": "gpt-2", "olmo": "gpt-2",
		"llama3": "llama-bpe", "llama-v3": "llama-bpe", "falcon3": "llama-bpe",
		"starcoder": "smollm", "refact": "smollm", "command-r": "smollm", "codeshell": "smollm",
		"megrez": "qwen2",
	}
)

// split cuts around each match of a pattern.
func split(pattern string) part {
	return part{"type": "Split", "pattern": part{"Regex": pattern}, "behavior": "Isolated", "invert": false}
}

// byteLevel is the tokenizer.json of a vocabulary in GPT-2's alphabet.
func (g *ggufVocab) byteLevel() (document, error) {
	name := g.pre
	if same, ok := sameSplit[name]; ok {
		name = same
	}
	s, ok := splitters[name]
	if !ok {
		known := slices.Sorted(maps.Keys(splitters))
		return document{}, fmt.Errorf("pre-tokenizer %q (%spre) is not supported (%s are)", g.pre, ggml, strings.Join(known, ", "))
	}
	merges := make([][2]string, len(g.merges))
	for i, m := range g.merges {
		left, right, ok := cutMerge(m)
		if !ok {
			return document{}, fmt.Errorf("merge %d is %.80q, not two tokens", i, m)
		}
		merges[i] = [2]string{left, right}
	}
	if g.cfg.AddBOS == nil && s.addBOS && g.cfg.BOS != "" {
		g.cfg.AddBOS = &s.addBOS
	}
	alphabet := part{"type": "ByteLevel", "add_prefix_space": g.prefixSpace, "trim_offsets": true, "use_regex": false}
	return document{
		Normalizer:   s.normalizer,
		PreTokenizer: sequence("pretokenizers", append(slices.Clone(s.parts), alphabet)...),
		Decoder:      alphabet,
		Model: bpe{
			Type: "BPE", Vocab: g.vocab(), Merges: merges, IgnoreMerges: s.ignoreMerges,
		},
	}, nil
}

// cutMerge cuts "left right" at the first space that is not left's own first
// character.
func cutMerge(m string) (left, right string, ok bool) {
	if m == "" {
		return "", "", false
	}
	left, right, ok = strings.Cut(m[1:], " ")
	return m[:1] + left, right, ok && right != ""
}
