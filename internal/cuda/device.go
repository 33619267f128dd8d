//go:build cuda && cgo && linux

package cuda

import (
	"fmt"
	"runtime"

	"gorgonia.org/cu"
)

// Devices describes the GPUs that the driver knows. It makes no contexts, so
// FreeMem is -1: see FreeMemory.
func Devices() ([]DeviceInfo, error) {
	n, err := cu.NumDevices()
	if err != nil {
		return nil, check("cuDeviceGetCount", err)
	}
	infos := make([]DeviceInfo, n)
	for i := range infos {
		if infos[i], err = describe(i); err != nil {
			return nil, err
		}
	}
	return infos, nil
}

// maxSharedOptIn is CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, which
// gorgonia has no name for.
const maxSharedOptIn cu.DeviceAttribute = 97

func describe(i int) (DeviceInfo, error) {
	info := DeviceInfo{Index: i, FreeMem: -1}
	dev, err := cu.GetDevice(i)
	if err != nil {
		return info, check("cuDeviceGet", err)
	}
	if info.Name, err = dev.Name(); err != nil {
		return info, check("cuDeviceGetName", err)
	}
	id, err := dev.UUID()
	if err != nil {
		return info, check("cuDeviceGetUuid", err)
	}
	info.UUID = "GPU-" + id.String()
	if info.TotalMem, err = dev.TotalMem(); err != nil {
		return info, check("cuDeviceTotalMem", err)
	}
	for _, a := range []struct {
		to   *int
		what cu.DeviceAttribute
	}{
		{&info.Major, cu.ComputeCapabilityMajor},
		{&info.Minor, cu.ComputeCapabilityMinor},
		{&info.SMs, cu.MultiprocessorCount},
		{&info.MaxShared, maxSharedOptIn},
	} {
		if *a.to, err = dev.Attribute(a.what); err != nil {
			return info, check("cuDeviceGetAttribute", err)
		}
	}
	return info, nil
}

// FreeMemory is what is free on device i, in bytes. It makes the device's context
// for as long as it takes to ask, which is some tenths of a second where nobody
// else has it.
func FreeMemory(i int) (int64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := cu.CurrentContext()
	if err != nil {
		return 0, check("cuCtxGetCurrent", err)
	}
	d, err := NewDevice(i)
	if err != nil {
		return 0, err
	}
	defer func() { _ = cu.SetCurrentContext(before) }()
	defer d.Close()
	free, _, err := d.MemInfo()
	return free, err
}

// Device is a GPU whose primary context is current on one OS thread.
type Device struct {
	Info DeviceInfo

	dev    cu.Device
	ctx    cu.CUContext
	lost   bool // a sticky fault was seen
	pinned map[*Pinned]struct{}
}

// NewDevice retains device i's primary context and makes it current on the
// calling thread, which must be locked (runtime.LockOSThread). Close gives it
// back.
func NewDevice(i int) (*Device, error) {
	n, err := cu.NumDevices()
	if err != nil {
		return nil, check("cuDeviceGetCount", err)
	}
	if i < 0 || i >= n {
		return nil, fmt.Errorf("cuda: there is no device %d: the driver knows %d", i, n)
	}
	info, err := describe(i)
	if err != nil {
		return nil, err
	}
	dev, err := cu.GetDevice(i)
	if err != nil {
		return nil, check("cuDeviceGet", err)
	}
	ctx, err := dev.RetainPrimaryCtx()
	if err != nil {
		return nil, check("cuDevicePrimaryCtxRetain", err)
	}
	d := &Device{Info: info, dev: dev, ctx: ctx, pinned: map[*Pinned]struct{}{}}
	if err := d.MakeCurrent(); err != nil {
		return nil, err
	}
	return d, nil
}

// MakeCurrent makes the device's context current on the calling locked thread.
func (d *Device) MakeCurrent() error {
	return d.check("cuCtxSetCurrent", cu.SetCurrentContext(d.ctx))
}

// MemInfo is the device's free and total memory in bytes.
func (d *Device) MemInfo() (free, total int64, err error) {
	free, total, err = cu.MemInfo()
	return free, total, d.check("cuMemGetInfo", err)
}

// Sync waits for all work on the device.
func (d *Device) Sync() error { return d.check("cuCtxSynchronize", cu.Synchronize()) }

// Close gives the context back; the last one to do so frees all that was made in
// it. A context that was lost to a fault is reset, so that the next NewDevice
// starts with a sound one; whatever else holds the device in this process loses
// its memory too.
func (d *Device) Close() error {
	if d.lost {
		err := d.dev.ResetPrimaryCtx()
		_ = d.dev.ReleasePrimaryCtx() // the retain is void after a reset
		return check("cuDevicePrimaryCtxReset", err)
	}
	return check("cuDevicePrimaryCtxRelease", d.dev.ReleasePrimaryCtx())
}

// Lost reports whether a call on this device has met a sticky fault.
func (d *Device) Lost() bool { return d.lost }

// CanAccessPeer reports whether this device can read and write the memory of
// device i directly.
func (d *Device) CanAccessPeer(i int) (bool, error) {
	peer, err := cu.GetDevice(i)
	if err != nil {
		return false, check("cuDeviceGet", err)
	}
	can, err := d.dev.CanAccessPeer(peer)
	return can != 0, check("cuDeviceCanAccessPeer", err)
}

// check is the package's check; it remembers that the context is lost.
func (d *Device) check(call string, err error) error {
	if err == nil {
		return nil
	}
	return d.note(check(call, err))
}

// note remembers that the context is lost where err says so.
func (d *Device) note(err error) error {
	if err != nil && Sticky(err) {
		d.lost = true
	}
	return err
}
