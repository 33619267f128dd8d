//go:build !race

package reasoning

const raceEnabled = false
