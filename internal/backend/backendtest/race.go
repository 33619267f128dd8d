//go:build race

package backendtest

// thin makes the suites take one case of so many: under the race detector plain
// loops are some twenty times slower, and races do not depend on shapes.
const thin = 5
