//go:build !cuda || !cgo || !linux

package cuda

// Built reports whether the program was built with the tag cuda.
const Built = false

// Open returns ErrNotBuilt.
func Open(path string) error { return ErrNotBuilt }

// DriverVersion is empty: there is no driver.
func DriverVersion() string { return "" }

// Devices returns ErrNotBuilt.
func Devices() ([]DeviceInfo, error) { return nil, ErrNotBuilt }

// FreeMemory returns ErrNotBuilt.
func FreeMemory(i int) (int64, error) { return 0, ErrNotBuilt }
