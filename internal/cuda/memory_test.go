//go:build cuda && cgo && linux

package cuda_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/reasond/reasond/internal/cuda"
)

func random(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func stream(t testing.TB, d *cuda.Device) *cuda.Stream {
	t.Helper()
	s := must(d.NewStream())(t)
	t.Cleanup(func() {
		if !d.Lost() {
			ok(t, s.Close())
		}
	})
	return s
}

func alloc(t testing.TB, d *cuda.Device, n int64) cuda.Ptr {
	t.Helper()
	p := must(d.Alloc(n))(t)
	t.Cleanup(func() {
		if !d.Lost() {
			ok(t, d.Free(p))
		}
	})
	return p
}

func pinned(t testing.TB, d *cuda.Device, n int64) []byte {
	t.Helper()
	p := must(d.Pinned(n))(t)
	t.Cleanup(func() {
		if !d.Lost() {
			ok(t, p.Free())
		}
	})
	return p.Bytes
}

func TestBytesComeBackFromTheDevice(t *testing.T) {
	d := open(t, 0)
	s := stream(t, d)
	const n = 100_003
	want := random(n)
	a, b := alloc(t, d, n), alloc(t, d, n)
	in, out := pinned(t, d, n), pinned(t, d, n)
	for i, v := range out {
		if v != 0 {
			t.Fatalf("pinned memory begins with %d at %d", v, i)
		}
	}
	copy(in, want)
	ok(t, s.CopyIn(a, in))
	ok(t, s.Copy(b, a, n))
	ok(t, s.Memset(b+7, 0xab, 5))
	ok(t, s.CopyOut(out, b))
	ok(t, s.Sync())
	copy(want[7:], bytes.Repeat([]byte{0xab}, 5))
	if !bytes.Equal(out, want) {
		t.Error("pinned memory: other bytes came back")
	}
	// Memory of Go's own: the calls block.
	ok(t, s.CopyIn(a, want))
	other := make([]byte, n)
	ok(t, s.CopyOut(other, a))
	ok(t, s.Sync())
	if !bytes.Equal(other, want) {
		t.Error("other memory: other bytes came back")
	}
	ok(t, s.CopyIn(a, nil))
	ok(t, s.Copy(a, b, 0))
	ok(t, s.Memset(a, 1, 0))
}

func TestMemoryIsCountedAndARefusalIsRecognised(t *testing.T) {
	d := open(t, 0)
	before, total, err := d.MemInfo()
	ok(t, err)
	p := must(d.Alloc(64 << 20))(t)
	if after, _, err := d.MemInfo(); err != nil || before-after < 64<<20 {
		t.Errorf("%d bytes free, then %d; %v", before, after, err)
	}
	ok(t, d.Free(p))
	if after, _, err := d.MemInfo(); err != nil || after != before {
		t.Errorf("%d bytes free, after freeing %d; %v", before, after, err)
	}
	_, err = d.Alloc(total + 1)
	if !cuda.OutOfMemory(err) || cuda.Sticky(err) || d.Lost() {
		t.Errorf("%v", err)
	}
	for _, n := range []int64{0, -1} {
		if _, err := d.Alloc(n); err == nil {
			t.Errorf("%d bytes were allocated", n)
		}
		if _, err := d.Pinned(n); err == nil {
			t.Errorf("%d bytes were pinned", n)
		}
	}
}

func TestEventsOrderStreamsAndTellTime(t *testing.T) {
	d := open(t, 0)
	first, second := stream(t, d), stream(t, d)
	begin, end := must(d.NewEvent(true))(t), must(d.NewEvent(true))(t)
	defer begin.Close()
	defer end.Close()
	const n = 4 << 20
	a, b := alloc(t, d, n), alloc(t, d, n)
	out := pinned(t, d, n)
	ok(t, first.Record(begin))
	ok(t, first.Memset(a, 7, n))
	ok(t, first.Record(end))
	ok(t, second.Wait(end))
	ok(t, second.Copy(b, a, n))
	ok(t, second.CopyOut(out, b))
	ok(t, second.Sync())
	if !bytes.Equal(out, bytes.Repeat([]byte{7}, n)) {
		t.Error("the second stream did not wait for the first one's event")
	}
	ok(t, end.Sync())
	if done, err := end.Done(); !done || err != nil {
		t.Errorf("a passed event is done: %v, %v", done, err)
	}
	if took, err := cuda.Elapsed(begin, end); err != nil || took < 0 {
		t.Errorf("%v, %v", took, err)
	}
}
