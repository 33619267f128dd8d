package config

import (
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// Device is what a model runs on.
type Device struct {
	Kind  string // auto: a GPU if there is one; cpu; cuda
	Index int    // of the GPU, where Kind is cuda: the first one that is used
}

// The kinds of devices.
const (
	DeviceAuto = "auto"
	DeviceCPU  = "cpu"
	DeviceCUDA = "cuda"
)

// String is the device as a flag has it.
func (d Device) String() string {
	if d.Kind == DeviceCUDA {
		return DeviceCUDA + ":" + strconv.Itoa(d.Index)
	}
	return d.Kind
}

// ParseDevice reads auto, cpu, cuda or cuda:N, in any case; cuda is cuda:0. Other
// servers' cudaN and gpu mean the same. Whether there is such a device is for
// whoever opens it.
func ParseDevice(s string) (Device, error) {
	word := strings.ToLower(strings.TrimSpace(s))
	switch word {
	case DeviceAuto, DeviceCPU:
		return Device{Kind: word}, nil
	case DeviceCUDA, "gpu":
		return Device{Kind: DeviceCUDA}, nil
	}
	if number, ok := strings.CutPrefix(word, DeviceCUDA); ok {
		n, err := strconv.ParseUint(strings.TrimPrefix(number, ":"), 10, 16)
		if err == nil {
			return Device{Kind: DeviceCUDA, Index: int(n)}, nil
		}
	}
	return Device{}, errors.New("must be auto, cpu, cuda or cuda:N")
}

type device struct{ p *Device }

// DeviceValue is a flag that names a device.
func DeviceValue(p *Device) pflag.Value { return device{p} }

func (v device) String() string { return deref(v.p).String() }
func (v device) Type() string   { return "auto|cpu|cuda:N" }
func (v device) Set(s string) error {
	d, err := ParseDevice(s)
	if err == nil {
		*v.p = d
	}
	return err
}

// Libraries are NVIDIA's libraries, which are loaded when the program runs; an
// empty path: where the loader finds them.
type Libraries struct {
	Driver   string // libcuda.so.1
	CUBLASLt string
	NCCL     string
}

// AddFlags adds the libraries' paths, which help does not list.
func (l *Libraries) AddFlags(f *Flags) {
	f.Hidden(String(&l.Driver), "cuda-driver", "path of the CUDA driver library (default: libcuda.so.1)")
	f.Hidden(String(&l.CUBLASLt), "cublaslt", "path of cuBLASLt (default: the loader's, /usr/local/cuda, Python's packages)")
	f.Hidden(String(&l.NCCL), "nccl", "path of NCCL (default: the loader's, Python's packages)")
}
