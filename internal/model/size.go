package model

// KVBytesPerToken is the memory that one token's keys and values, or its
// latents, take in all layers, with elements of the given size.
func (c *Config) KVBytesPerToken(elementBytes int) int64 {
	width := 2 * int64(c.KVHeads) * int64(c.HeadDim)
	if c.Latent.Rank > 0 {
		width = int64(c.Latent.Rank + c.Latent.RopeDim)
	}
	return int64(c.Layers) * width * int64(elementBytes)
}

// Parameters is the number of weights, a tied embedding counted once.
func (c *Config) Parameters() int64 {
	hidden := int64(c.Hidden)
	total := hidden + int64(c.Vocab)*hidden
	if !c.TiedEmbeddings {
		total += int64(c.Vocab) * hidden
	}
	attention := c.attentionParameters()
	if c.Latent.Rank > 0 {
		attention = c.latentParameters()
	}
	for layer := range c.Layers {
		total += 2*hidden + attention
		if c.MoE.sparse(layer) {
			total += c.expertParameters()
		} else {
			total += c.mlpParameters(c.Intermediate, c.MLPBias)
		}
	}
	return total
}

func (c *Config) attentionParameters() int64 {
	hidden, q, kv := int64(c.Hidden), int64(c.Heads*c.HeadDim), int64(c.KVHeads*c.HeadDim)
	n := hidden*(q+2*kv) + q*hidden
	if c.QKVBias {
		n += q + 2*kv
	}
	if c.OBias {
		n += hidden
	}
	if c.QKNorm {
		n += 2 * int64(c.HeadDim)
	}
	if c.Sinks {
		n += int64(c.Heads)
	}
	return n
}

func (c *Config) latentParameters() int64 {
	a, hidden, heads := c.Latent, int64(c.Hidden), int64(c.Heads)
	query, in := heads*int64(a.NopeDim+a.RopeDim), hidden
	n := int64(0)
	if a.QueryRank > 0 {
		in = int64(a.QueryRank)
		n += hidden*in + in
		if c.QKVBias {
			n += in
		}
	}
	stored := int64(a.Rank + a.RopeDim)
	n += in*query + hidden*stored + int64(a.Rank) + int64(a.Rank)*heads*int64(a.NopeDim+a.ValueDim) + heads*int64(a.ValueDim)*hidden
	if c.QKVBias {
		n += stored
	}
	if c.OBias {
		n += hidden
	}
	return n
}

func (c *Config) mlpParameters(intermediate int, bias bool) int64 {
	hidden, inter := int64(c.Hidden), int64(intermediate)
	n := 3 * hidden * inter
	if bias {
		n += 2*inter + hidden
	}
	return n
}

func (c *Config) expertParameters() int64 {
	m, experts := c.MoE, int64(c.MoE.Experts)
	n := experts * (int64(c.Hidden) + c.mlpParameters(m.Intermediate, m.Bias))
	if m.RouterBias {
		n += experts
	}
	if m.Correction {
		n += experts
	}
	if m.Shared > 0 {
		n += c.mlpParameters(m.Shared, false)
	}
	return n
}
