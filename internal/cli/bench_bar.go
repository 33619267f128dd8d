package cli

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// countBar shows on a terminal how many of some things are done and what comes
// next; elsewhere it shows nothing.
type countBar struct {
	bars *mpb.Progress // nil: no terminal
	bar  *mpb.Bar
	what atomic.Pointer[string] // the bar is drawn by a goroutine of its own
}

func newCountBar(out io.Writer) *countBar {
	b := &countBar{}
	if !terminal(out) {
		return b
	}
	b.bars = mpb.New(mpb.WithOutput(out), mpb.WithWidth(40), mpb.WithRefreshRate(150*time.Millisecond))
	b.what.Store(new(string))
	b.bar = b.bars.AddBar(0, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return *b.what.Load() }, decor.WC{W: 28, C: decor.DindentRight})),
		mpb.AppendDecorators(decor.CountersNoUnit("%d / %d", decor.WCSyncSpace)))
	return b
}

// Report says how far it is; a total of 0 is not known. It may be called from
// several goroutines, and never ends the bar.
func (b *countBar) Report(done, total int, what string) {
	if b.bars == nil {
		return
	}
	b.what.Store(&what)
	b.bar.SetTotal(int64(total), false)
	b.bar.SetCurrent(int64(done))
}

// Close removes the bar.
func (b *countBar) Close() {
	if b.bars == nil {
		return
	}
	b.bar.Abort(true)
	b.bars.Wait()
	b.bars = nil
}
