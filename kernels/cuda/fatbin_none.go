//go:build !cuda

package cuda

// Image is the compiled kernels, which only a build with the tag cuda has.
func Image() []byte { return nil }
