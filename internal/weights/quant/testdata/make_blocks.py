#!/usr/bin/env python3
"""Write blocks.json: random blocks of every format and what the gguf package makes of them.

Needs gguf and numpy. The payload bytes are random; only the half-precision
scales are drawn to be finite. Values are the float32's bits.
"""
import json
import pathlib

import gguf
import numpy as np

Q = gguf.GGMLQuantizationType
# format: the byte positions of its half-precision numbers
HALVES = {Q.Q8_0: [0], Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208], Q.MXFP4: [], Q.Q5_0: [0]}
BLOCKS = 3

rng = np.random.default_rng(7)
out = {}
for q, halves in HALVES.items():
    size, nbytes = gguf.GGML_QUANT_SIZES[q]
    data = rng.integers(0, 256, (BLOCKS, nbytes), dtype=np.uint8)
    for at in halves:
        data[:, at:at + 2] = (rng.standard_normal(BLOCKS) * 10.0 ** rng.integers(-4, 2, BLOCKS)).astype("<f2").view(np.uint8).reshape(BLOCKS, 2)
    if q == Q.MXFP4:  # an exponent; the gguf package knows no NaN, which 255 is
        data[:, 0] = [0, 1, 250]
    values = gguf.dequantize(data, q).astype("<f4").reshape(-1)
    assert values.size == BLOCKS * size and np.isfinite(values).all()
    out[q.name] = {"data": data.tobytes().hex(), "bits": values.view("<u4").tolist()}
with open(pathlib.Path(__file__).with_name("blocks.json"), "w") as f:
    json.dump(out, f, separators=(",", ":"))
    f.write("\n")
