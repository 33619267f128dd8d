package cli

import (
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows how far downloads and loading are: bars on a terminal, else a
// line of log when a stage has ended.
type progress struct {
	mu    sync.Mutex
	log   *slog.Logger
	bars  *mpb.Progress // nil where there is no terminal
	stage map[string]*stage
}

type stage struct {
	bar   *mpb.Bar
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
	s := p.stage[name]
	if s == nil {
		s = &stage{began: time.Now()}
		if p.bars != nil {
			s.bar = p.bars.AddBar(total,
				mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR)),
				mpb.AppendDecorators(
					decor.CountersKibiByte("% .1f / % .1f", decor.WCSyncSpace),
					decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace), "")))
		}
		p.stage[name] = s
	}
	if s.ended {
		return
	}
	if s.bar != nil {
		s.bar.SetTotal(total, false)
		s.bar.SetCurrent(done)
	}
	if done < total {
		return
	}
	s.ended = true
	if s.bar != nil {
		s.bar.SetTotal(total, true)
	} else {
		p.log.Info("done", "stage", name, "bytes", total, "seconds", time.Since(s.began).Seconds())
	}
}

// Close ends the bars that are still there and waits until they are drawn.
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
	}
}
