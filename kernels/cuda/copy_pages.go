package cuda

import "fmt"

// CopyPages launches copy_pages.cu: for each of the batch's copies, page source
// to page target in every plane. A plane is one layer's K, V or latents; planes
// is a device array of the count planes' addresses (uint64), pageBytes a page's
// size in each of them. No page is both a source and a target in one step.
func CopyPages(b Batch, planes Ptr, count, pageBytes int) (Launch, error) {
	if planes == 0 || count < 1 || count > 65535 || pageBytes < 16 || pageBytes%16 != 0 {
		return Launch{}, fmt.Errorf("cuda: copy_pages: %d planes at %#x with pages of %d bytes", count, planes, pageBytes)
	}
	const atOnce = 16 // copies side by side; more take turns
	return Launch{
		Kernel: "copy_pages", Grid: [3]uint32{atOnce, uint32(count), 1}, Block: block1(256),
		Args: []uint64{uint64(b.Header), uint64(b.Copies), uint64(planes), Int(pageBytes / 16)},
	}, nil
}
