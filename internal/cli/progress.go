package cli

import (
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// patience is how long a stage runs without a bar: what is over sooner needs
// none.
const patience = 300 * time.Millisecond

// progress shows how far downloads and loading are: bars on a terminal, else a
// line of log when a stage has ended.
type progress struct {
	mu    sync.Mutex
	log   *slog.Logger
	bars  *mpb.Progress // nil where there is no terminal
	stage map[string]*stage
	tell  func(doing string, done, total int64) // is told, too; nil: nobody asks
}

type stage struct {
	bar   *mpb.Bar // nil before its time
	began time.Time
	ended bool
}

func newProgress(out io.Writer, log *slog.Logger) *progress {
	p := &progress{log: log, stage: map[string]*stage{}}
	if terminal(out) {
		p.bars = mpb.New(mpb.WithOutput(out), mpb.WithWidth(48), mpb.WithRefreshRate(120*time.Millisecond))
	}
	return p
}

// Report says that done of total bytes of a stage are done; a stage begins with
// its first report and ends with done = total. It may be called from several
// goroutines.
func (p *progress) Report(name string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tell != nil {
		p.tell(name, done, total)
	}
	s := p.stage[name]
	if s == nil {
		s = &stage{began: time.Now()}
		p.stage[name] = s
	}
	if s.ended {
		return
	}
	if p.bars != nil && s.bar == nil && time.Since(s.began) > patience {
		s.bar = p.bar(name, total)
	}
	s.ended = done >= total
	if s.bar != nil {
		s.bar.SetCurrent(done)
		s.bar.SetTotal(total, s.ended)
	}
	if p.bars == nil && s.ended {
		p.log.Info("done", "stage", name, "bytes", total, "seconds", time.Since(s.began).Seconds())
	}
}

func (p *progress) bar(name string, total int64) *mpb.Bar {
	return p.bars.AddBar(total,
		mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(
			decor.CountersKibiByte("% .1f / % .1f", decor.WCSyncSpace),
			decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace), "")))
}

// Close ends the bars that are still there and waits until they are drawn: what
// is written to the terminal before that is drawn over. It may be called twice.
func (p *progress) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.stage {
		if s.bar != nil && !s.ended {
			s.bar.Abort(false)
		}
	}
	if p.bars != nil {
		p.bars.Wait()
		p.bars = nil
	}
}
