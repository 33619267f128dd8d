package cli

import (
	"io"
	"sync"
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

// sink is Report of one thing, for several goroutines. Where no total is known, 0,
// there is no bar.
func (b *countBar) sink(what string) func(done, total int) {
	var mu sync.Mutex
	return func(done, total int) {
		mu.Lock()
		defer mu.Unlock()
		if total > 0 {
			b.Report(done, total, what)
		}
	}
}

// Report is called by one goroutine.
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
