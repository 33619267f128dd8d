package sample

// partition moves the k first candidates (0 < k <= len) to the front, in no
// particular order: quickselect, linear on average.
func partition(c []candidate, k int) {
	for len(c) > 1 && k > 0 && k < len(c) {
		n := split(c)
		if k <= n {
			c = c[:n]
			continue
		}
		c, k = c[n:], k-n
	}
}

// nucleus moves the shortest run of first candidates whose weights sum to at
// least mass to the front and returns its length, at least 1.
func nucleus(c []candidate, mass float64) int {
	kept := 0
	for len(c) > 1 {
		n := split(c)
		sum := 0.0
		for _, x := range c[:n] {
			sum += x.weight
		}
		if sum >= mass {
			c = c[:n]
			continue
		}
		c, kept, mass = c[n:], kept+n, mass-sum
	}
	if kept == 0 || mass > 0 {
		kept++
	}
	return kept
}

// split divides two or more candidates into first ones and later ones, neither
// empty, and returns the number of first ones (Hoare's partition around the
// middle one of three).
func split(c []candidate) int {
	pivot := median(c[0], c[len(c)/2], c[len(c)-1])
	i, j := 0, len(c)-1
	for {
		for c[i].before(pivot) {
			i++
		}
		for pivot.before(c[j]) {
			j--
		}
		if i >= j {
			break
		}
		c[i], c[j] = c[j], c[i]
		i++
		j--
	}
	return max(1, min(i, len(c)-1))
}

func median(a, b, c candidate) candidate {
	if b.before(a) {
		a, b = b, a
	}
	if c.before(b) {
		b = c
		if b.before(a) {
			b = a
		}
	}
	return b
}

// last is the candidate that all others come before.
func last(c []candidate) candidate {
	worst := c[0]
	for _, x := range c[1:] {
		if worst.before(x) {
			worst = x
		}
	}
	return worst
}
