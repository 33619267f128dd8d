package model

import (
	"fmt"
	"slices"
)

// CheckRanks refuses a number of ranks that heads, MLP rows or the vocabulary do
// not divide among; the error names the field of config.json.
func (c *Config) CheckRanks(n int) error {
	type field struct {
		name  string
		value int
	}
	fields := []field{{"num_attention_heads", c.Heads}, {"vocab_size", c.Vocab}}
	if c.Latent.Rank == 0 && c.KVHeads >= n {
		fields = append(fields, field{"num_key_value_heads", c.KVHeads})
	}
	if c.MoE.Experts > 0 {
		fields = append(fields, field{c.MoE.SizeKey, c.MoE.Intermediate})
	}
	if c.MoE.Experts == 0 || slices.Contains(c.MoE.Dense, true) {
		fields = append(fields, field{"intermediate_size", c.Intermediate})
	}
	for _, f := range fields {
		if f.value%n != 0 {
			return fmt.Errorf("%s %d does not divide among %d ranks", f.name, f.value, n)
		}
	}
	if c.Latent.Rank == 0 && c.KVHeads < n && n%c.KVHeads != 0 {
		return fmt.Errorf("num_key_value_heads %d cannot be held in equal numbers by %d ranks", c.KVHeads, n)
	}
	return nil
}

// OfRank is what one of n ranks, which CheckRanks allows, has of the model's
// activations and KV, for reckoning how much memory they need: every rank has all
// logits, and the latents where there are any.
func (c *Config) OfRank(n int) Config {
	part := *c
	part.Heads, part.KVHeads = c.Heads/n, max(c.KVHeads/n, 1)
	part.Intermediate, part.MoE.Intermediate, part.MoE.Shared = c.Intermediate/n, c.MoE.Intermediate/n, c.MoE.Shared/n
	return part
}
