package reference

import "github.com/reasond/reasond/internal/backend"

// kv is the paged cache: for each layer and page
//
//	k[PageTokens][heads][dim] | v[PageTokens][heads][dim]
type kv struct {
	layers, pages, heads, dim int
	data                      []float32
}

func newKV(layers, pages, heads, dim int) kv {
	k := kv{layers: layers, pages: pages, heads: heads, dim: dim}
	k.data = make([]float32, layers*pages*k.pageLen())
	return k
}

func (c *kv) pageLen() int { return 2 * backend.PageTokens * c.heads * c.dim }

func (c *kv) bytes() int64 { return 4 * int64(len(c.data)) }

func (c *kv) page(layer, page int) []float32 {
	n := c.pageLen()
	at := (layer*c.pages + page) * n
	return c.data[at : at+n]
}

// token is all heads' k and v of one token, given by its place in a page.
func (c *kv) token(layer, page, at int) (k, v []float32) {
	n := c.heads * c.dim
	p := c.page(layer, page)
	return p[at*n : (at+1)*n], p[(backend.PageTokens+at)*n : (backend.PageTokens+at+1)*n]
}

func (c *kv) copyPage(src, dst int) {
	for layer := range c.layers {
		copy(c.page(layer, dst), c.page(layer, src))
	}
}
