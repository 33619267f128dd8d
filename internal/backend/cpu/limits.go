package cpu

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/reasond/reasond/internal/backend"
	"github.com/reasond/reasond/internal/weights"
	kernels "github.com/reasond/reasond/kernels/cpu"
)

var unitNames = [kernels.Units]string{kernels.UnitF32: "float32", kernels.UnitBF16: "bfloat16", kernels.UnitI8: "int8"}

// Limits implements backend.Limited: what the machine's memory and multipliers do
// at most on this backend's threads, measured in about that time.
func (b *Backend) Limits(d time.Duration) backend.Limits {
	threads := b.cfg.Threads
	l := backend.Limits{Read: kernels.ReadSpeed(threads, lastCache(), d/2), Multiply: map[string][]float64{}}
	for unit, name := range unitNames {
		if s := kernels.Peak(b.machine.ISA(), kernels.Unit(unit), threads, d/6); len(s) > 0 {
			l.Multiply[name] = s
		}
	}
	return l
}

// Unit implements backend.Limited.
func (b *Backend) Unit(t weights.Tensor) string {
	return unitNames[b.machine.Unit(int(b.form(t)))]
}

// defaultCache is taken where the system does not say how large the last cache
// is: more than today's desktops have.
const defaultCache = 64 << 20

// lastCache is the size of the largest cache of the first core.
func lastCache() int64 {
	largest := int64(0)
	names, _ := filepath.Glob("/sys/devices/system/cpu/cpu0/cache/index*/size") // no such files: none
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(data)), "K"), 10, 64)
		if err == nil {
			largest = max(largest, kilobytes<<10)
		}
	}
	if largest == 0 {
		return defaultCache
	}
	return largest
}
