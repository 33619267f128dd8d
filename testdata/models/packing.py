"""Round weights to the quantised formats of published models and pack them.

Each function takes a float32 matrix [out, in] and returns the tensors of the
file, by the suffix of their names, and the float32 matrix that they stand for.
The layouts are those of the methods' own packages; nothing here is for speed.
"""
import torch


def fp8(w, block=128):
    """DeepSeek-V3's FP8: e4m3 codes and a float32 factor for each block."""
    rows, cols = w.shape
    n, m = -(-rows // block), -(-cols // block)
    codes = torch.empty_like(w)
    scale = torch.empty(n, m)
    for i in range(n):
        for j in range(m):
            at = (slice(i * block, (i + 1) * block), slice(j * block, (j + 1) * block))
            scale[i, j] = w[at].abs().max() / 448
            codes[at] = w[at] / scale[i, j]
    codes = codes.to(torch.float8_e4m3fn)
    whole = codes.float() * scale.repeat_interleave(block, 0)[:rows].repeat_interleave(block, 1)[:, :cols]
    return {".weight": codes, ".weight_scale_inv": scale}, whole


E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def mxfp4(w):
    """OCP MX FP4 as gpt-oss has it: blocks [out, in/32, 16], two codes a byte, low
    nibble first, and a power of two for each block, biased by 127. The power is
    that of the largest element less the largest exponent of E2M1, which is 2
    (OCP Microscaling Formats v1.0, 6.3)."""
    rows, cols = w.shape
    blocks = w.reshape(rows, cols // 32, 32)
    exponent = torch.floor(torch.log2(blocks.abs().amax(-1).clamp(min=2.0**-100))) - 2
    scaled = blocks / torch.exp2(exponent)[..., None]
    codes = (scaled[..., None] - E2M1).abs().argmin(-1)
    whole = E2M1[codes] * torch.exp2(exponent)[..., None]
    packed = (codes[..., 0::2] | codes[..., 1::2] << 4).to(torch.uint8)
    return {"_blocks": packed, "_scales": (exponent + 127).to(torch.uint8)}, whole.reshape(rows, cols)


def int4(w, group, symmetric, dtype):
    """Codes 0 to 15 [out, in], scales and zero points [out, in/group]."""
    rows, cols = w.shape
    groups = w.reshape(rows, cols // group, group)
    low, high = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)
    if symmetric:
        scale = torch.maximum(high / 7, -low / 8).to(dtype)
        zero = torch.full(scale.shape, 8)
    else:
        scale = ((high - low) / 15).to(dtype)
        zero = torch.round(-low / scale.float()).clamp(1, 15).to(torch.int64)
    codes = (torch.round(groups / scale.float()[..., None]) + zero[..., None]).clamp(0, 15).to(torch.int64)
    whole = (codes - zero[..., None]).float() * scale.float()[..., None]
    return codes.reshape(rows, cols), scale, zero, whole.reshape(rows, cols)


def words(codes, order=range(8)):
    """Eight codes of a row in an int32: nibble i holds code order[i]."""
    codes = codes.reshape(codes.shape[0], -1, 8)
    word = torch.zeros(codes.shape[:2], dtype=torch.int64)
    for i, at in enumerate(order):
        word |= codes[..., at] << (4 * i)
    return torch.where(word >= 2**31, word - 2**32, word).to(torch.int32).contiguous()


def awq(w, group):
    """AutoAWQ's gemm version: everything lies [in, out]."""
    codes, scale, zero, whole = int4(w, group, False, torch.float16)
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    return {
        ".qweight": words(codes.T.contiguous(), order),
        ".qzeros": words(zero.T.contiguous(), order),
        ".scales": scale.T.contiguous(),
    }, whole


def gptq(w, group, symmetric):
    """AutoGPTQ's format, zero points less one, inputs in order."""
    codes, scale, zero, whole = int4(w, group, symmetric, torch.float16)
    return {
        ".qweight": words(codes).T.contiguous(),
        ".qzeros": words(zero.T - 1),
        ".scales": scale.T.contiguous(),
        ".g_idx": (torch.arange(w.shape[1]) // group).to(torch.int32),
    }, whole


def compressed(w, group, symmetric):
    """compressed-tensors' pack-quantized int4."""
    codes, scale, zero, whole = int4(w, group, symmetric, torch.bfloat16)
    tensors = {
        ".weight_packed": words(codes),
        ".weight_scale": scale,
        ".weight_shape": torch.tensor(w.shape),
    }
    if not symmetric:
        tensors[".weight_zero_point"] = words(zero.T.contiguous()).T.contiguous()
    return tensors, whole
