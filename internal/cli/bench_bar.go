package cli

import (
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// countBar shows on a terminal how many of some things are done and what comes
// next; elsewhere it shows nothing.
type countBar struct {
	bars *mpb.Progress // nil: no terminal
	bar  *mpb.Bar
	what string
}

func newCountBar(out io.Writer) *countBar {
	b := &countBar{}
	if terminal(out) {
		b.bars = mpb.New(mpb.WithOutput(out), mpb.WithWidth(40), mpb.WithRefreshRate(200*time.Millisecond), mpb.WithAutoRefresh())
	}
	return b
}

// Report may change the total; one goroutine calls it.
func (b *countBar) Report(done, total int, what string) {
	if b.bars == nil {
		return
	}
	if b.bar == nil || b.what != what { // a line for each thing: its text is fixed
		if b.bar != nil {
			b.bar.Abort(true)
		}
		b.what = what
		b.bar = b.bars.AddBar(int64(total), mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name(what, decor.WC{W: 28, C: decor.DindentRight})),
			mpb.AppendDecorators(decor.CountersNoUnit("%d / %d", decor.WCSyncSpace)))
	}
	b.bar.SetCurrent(int64(done))
}

// Close removes the bar.
func (b *countBar) Close() {
	if b.bars == nil {
		return
	}
	if b.bar != nil {
		b.bar.Abort(true)
	}
	b.bars.Wait()
	b.bars = nil
}
