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

	// deepseek-llm's letters: those of scripts with upper and lower case. By
	// number, because editors change what some of them are (U+1FBE, U+2126).
	casedLetters = `A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF}` +
		`\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}` +
		`\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}` +
		`\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}` +
		`\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}` +
		`\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}` +
		`\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}` +
		`\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}` +
		`\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}` +
		`\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}` +
		`\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}` +
		`\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}` +
		`\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}` +
		`\x{1E900}-\x{1E943}`
	hanAndHangul = `[\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+`
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
			split(`[\r\n]`), split(`\s?[` + casedLetters + `]+`), split(`\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+`),
			split(`\s+$`), split(hanAndHangul), split(`\p{N}+`),
		}},
		"deepseek-coder": {parts: []any{
			split(`[\r\n]`), split(`\s?\p{L}+`), split(`\s?\p{P}+`), split(hanAndHangul), split(`\p{N}`),
		}},
		"deepseek-v3": {parts: []any{split(`\p{N}{1,3}`), split(`[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+`), split(splitDeepSeekV3)}},
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
	letters := part{"type": "ByteLevel", "add_prefix_space": g.prefixSpace, "trim_offsets": true, "use_regex": false}
	return document{
		Normalizer:   s.normalizer,
		PreTokenizer: sequence("pretokenizers", append(slices.Clone(s.parts), letters)...),
		Decoder:      letters,
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
