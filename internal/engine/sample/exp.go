package sample

import "math"

// expTable[j] is 2^(j/64).
var expTable = func() (t [64]float64) {
	for j := range t {
		t[j] = math.Exp2(float64(j) / 64)
	}
	return t
}()

const (
	expPerStep = 64 / math.Ln2
	expStep    = math.Ln2 / 64
)

// expNeg is exp(x) for x <= 0, to 1 part in 10^12: with x = (64e+j)*ln2/64 + r,
// exp(x) = 2^e * 2^(j/64) * exp(r), where |r| < 0.0055 needs four terms. It takes half
// of math.Exp's time, and a row takes one for each token of the
// vocabulary. Below -700 it is 0. NaN is not allowed.
func expNeg(x float64) float64 {
	if x < -700 {
		return 0
	}
	k := int(float64(x*expPerStep) - 0.5)
	r := x - float64(float64(k)*expStep)
	p := 1 + float64(r*(1+float64(r*(1.0/2+float64(r*(1.0/6+float64(r*(1.0/24))))))))
	return expTable[k&63] * p * math.Float64frombits(uint64(1023+k>>6)<<52)
}
