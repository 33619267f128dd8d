package config

import "testing"

func TestADeviceIsAWordOrAGPUsNumber(t *testing.T) {
	for text, want := range map[string]Device{
		"auto": {Kind: DeviceAuto}, "cpu": {Kind: DeviceCPU}, "CPU": {Kind: DeviceCPU},
		"cuda": {Kind: DeviceCUDA}, "cuda:0": {Kind: DeviceCUDA}, "cuda:7": {Kind: DeviceCUDA, Index: 7},
		"CUDA1": {Kind: DeviceCUDA, Index: 1}, "gpu": {Kind: DeviceCUDA},
	} {
		got, err := ParseDevice(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		again, err := ParseDevice(got.String())
		if err != nil || again != got {
			t.Errorf("%q: written as %q it is %+v, %v", text, got.String(), again, err)
		}
	}
	for _, text := range []string{"", "cuda:", "cuda:-1", "cuda:+1", "cuda:x", "cuda:99999999", "rocm", "0"} {
		if d, err := ParseDevice(text); err == nil {
			t.Errorf("%q was taken as %+v", text, d)
		}
	}
}

func TestTheDeviceAndTheLibrariesComeFromFlagsAndVariables(t *testing.T) {
	s := mustParse(t, "M --device cuda:2 --cublaslt /x/lt", map[string]string{
		"REASOND_CUDA_DRIVER": "/x/fake.so", "REASOND_NCCL": "/x/nccl.so", "REASOND_CUBLASLT": "/y",
	})
	want := Libraries{Driver: "/x/fake.so", CUBLASLt: "/x/lt", NCCL: "/x/nccl.so"}
	if s.Model.Device != (Device{Kind: DeviceCUDA, Index: 2}) || s.Model.Libraries != want {
		t.Errorf("%+v", s.Model)
	}
	if s := mustParse(t, "M", nil); s.Model.Device.Kind != DeviceAuto {
		t.Errorf("without --device: %+v", s.Model.Device)
	}
	if s := mustParse(t, "M", map[string]string{"REASOND_DEVICE": "cpu"}); s.Model.Device.Kind != DeviceCPU {
		t.Errorf("REASOND_DEVICE=cpu: %+v", s.Model.Device)
	}
}
