package tokenizer

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"
)

// sentencePiece is the tokenizer.json of a SentencePiece BPE vocabulary.
//
// SentencePiece joins, again and again, the neighbours whose joint piece has
// the best score. Listing every way to make each piece, best score first, makes
// that a BPE merge table (Hugging Face converts the same way). Only normal
// pieces are made: no text can spell itself into a control token.
func (g *ggufVocab) sentencePiece() (document, error) {
	merges, err := g.pieceMerges()
	if err != nil {
		return document{}, err
	}
	if g.cfg.AddBOS == nil && g.cfg.BOS != "" {
		yes := true // what llama.cpp does where the file does not say
		g.cfg.AddBOS = &yes
	}
	const space = "▁"
	normalizers := []any{part{"type": "Replace", "pattern": part{"String": " "}, "content": space}}
	decoders := []any{
		part{"type": "Replace", "pattern": part{"String": space}, "content": " "},
		part{"type": "ByteFallback"},
		part{"type": "Fuse"},
	}
	if g.prefixSpace || !g.prefixGiven {
		normalizers = append([]any{part{"type": "Prepend", "prepend": space}}, normalizers...)
		decoders = append(decoders, part{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	model := bpe{
		Type: "BPE", Vocab: g.vocab(), Merges: merges, FuseUnk: true,
		ByteFallback: slices.Contains(g.types, typeByte),
	}
	if g.unknown >= 0 {
		model.Unk = &g.tokens[g.unknown]
	}
	return document{
		Normalizer: sequence("normalizers", normalizers...), Decoder: sequence("decoders", decoders...), Model: model,
	}, nil
}

// pieceMerges lists the merges that make the normal pieces, best first.
func (g *ggufVocab) pieceMerges() ([][2]string, error) {
	if g.scores == nil {
		return nil, fmt.Errorf("the file has no %sscores", ggml)
	}
	normal := func(id int) bool {
		t := g.types[id]
		return t == typeNormal || t == typeUserDefined || t == typeUnused
	}
	ids := g.vocab()
	type merge struct {
		left, right int
		score       float64
	}
	var merges []merge
	for id, piece := range g.tokens {
		if !normal(id) {
			continue
		}
		for cut := range piece {
			left, ok := ids[piece[:cut]]
			if cut == 0 || !ok || !normal(left) {
				continue
			}
			if right, ok := ids[piece[cut:]]; ok && normal(right) {
				merges = append(merges, merge{left, right, g.scores[id]})
			}
		}
	}
	slices.SortStableFunc(merges, func(a, b merge) int {
		return cmp.Or(
			cmp.Compare(b.score, a.score),
			cmp.Compare(utf8.RuneCountInString(g.tokens[b.left]), utf8.RuneCountInString(g.tokens[a.left])),
			cmp.Compare(utf8.RuneCountInString(g.tokens[b.right]), utf8.RuneCountInString(g.tokens[a.right])),
		)
	})
	pairs := make([][2]string, len(merges))
	for i, m := range merges {
		pairs[i] = [2]string{g.tokens[m.left], g.tokens[m.right]}
	}
	return pairs, nil
}
