//go:build cuda

package cuda

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed fatbin
var folder embed.FS

// Image is the compiled kernels for internal/cuda's Device.Load: one fatbin a .cu
// file, behind each other. A program that was built before `make kernels` takes
// the file kernels.fatbin in its own folder, which programs can share so; nil where
// there is none.
func Image() []byte {
	if image, err := fs.ReadFile(folder, "fatbin/kernels.fatbin"); err == nil {
		return image
	}
	program, err := os.Executable()
	if err != nil {
		return nil
	}
	image, err := os.ReadFile(filepath.Join(filepath.Dir(program), "kernels.fatbin"))
	if err != nil {
		return nil
	}
	return image
}
