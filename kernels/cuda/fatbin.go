//go:build cuda

package cuda

import (
	"embed"
	"io/fs"
)

//go:embed fatbin
var folder embed.FS

// Image is the compiled kernels for internal/cuda's Device.Load: one fatbin a .cu
// file, behind each other. It is nil where the program was built before
// `make kernels`.
func Image() []byte {
	image, err := fs.ReadFile(folder, "fatbin/kernels.fatbin")
	if err != nil {
		return nil
	}
	return image
}
