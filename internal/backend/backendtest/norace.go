//go:build !race

package backendtest

// thin makes the suites take one case of so many: all of them.
const thin = 1
