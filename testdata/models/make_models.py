#!/usr/bin/env python3
"""Make the tiny random models of this folder and their golden logits.

Needs torch, transformers and gguf (requirements.txt); README.md describes the
result. Everything is seeded: a second run writes the same weights. The logits
are computed by transformers alone, in float32 and with eager attention, from
the weights as they were rounded for the file.
"""
import json
import pathlib
import shutil
import sys

import gguf
import numpy as np
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

HERE = pathlib.Path(__file__).resolve().parent
VOCAB = 128
LENGTHS = [1, 7, 33, 70]
STEPS = 8

COMMON = dict(
    vocab_size=VOCAB,
    hidden_size=64,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=256,
    initializer_range=0.12,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=None,
)

# name: (config, model class, dtype in the file, largest shard)
MODELS = {
    "llama": (
        LlamaConfig(
            **COMMON,
            intermediate_size=96,
            num_hidden_layers=2,
            tie_word_embeddings=False,
            rms_norm_eps=1e-5,
            rope_parameters=dict(
                rope_type="llama3",
                rope_theta=10000.0,
                factor=8.0,
                low_freq_factor=1.0,
                high_freq_factor=4.0,
                original_max_position_embeddings=64,
            ),
        ),
        LlamaForCausalLM,
        torch.bfloat16,
        "1GB",
    ),
    "llama-linear": (
        LlamaConfig(
            **COMMON,
            intermediate_size=160,
            num_hidden_layers=2,
            tie_word_embeddings=True,
            attention_bias=True,
            mlp_bias=True,
            rms_norm_eps=1e-5,
            rope_parameters=dict(rope_type="linear", rope_theta=5000.0, factor=4.0),
        ),
        LlamaForCausalLM,
        torch.float16,
        "1GB",
    ),
    "qwen2": (
        Qwen2Config(
            **COMMON,
            intermediate_size=128,
            num_hidden_layers=3,
            tie_word_embeddings=True,
            rms_norm_eps=1e-6,
            rope_parameters=dict(rope_type="default", rope_theta=1000000.0),
        ),
        Qwen2ForCausalLM,
        torch.float16,
        "100KB",
    ),
    "qwen3": (
        Qwen3Config(
            **COMMON,
            head_dim=32,
            intermediate_size=96,
            num_hidden_layers=2,
            tie_word_embeddings=False,
            rms_norm_eps=1e-6,
            rope_parameters=dict(rope_type="default", rope_theta=1000000.0),
        ),
        Qwen3ForCausalLM,
        torch.float32,
        "150KB",
    ),
    "qwen3-yarn": (
        Qwen3Config(
            **COMMON,
            head_dim=16,
            intermediate_size=96,
            num_hidden_layers=2,
            tie_word_embeddings=True,
            rms_norm_eps=1e-6,
            rope_parameters=dict(
                rope_type="yarn",
                rope_theta=10000.0,
                factor=4.0,
                original_max_position_embeddings=64,
            ),
        ),
        Qwen3ForCausalLM,
        torch.bfloat16,
        "1GB",
    ),
    "mistral": (
        MistralConfig(
            **COMMON,
            head_dim=32,
            intermediate_size=96,
            num_hidden_layers=2,
            tie_word_embeddings=True,
            rms_norm_eps=1e-5,
            sliding_window=16,
            rope_parameters=dict(rope_type="default", rope_theta=10000.0),
        ),
        MistralForCausalLM,
        torch.bfloat16,
        "1GB",
    ),
    "qwen2-window": (
        Qwen2Config(
            **COMMON,
            intermediate_size=96,
            num_hidden_layers=2,
            tie_word_embeddings=True,
            rms_norm_eps=1e-6,
            use_sliding_window=True,
            sliding_window=21,
            max_window_layers=1,
            rope_parameters=dict(rope_type="default", rope_theta=10000.0),
        ),
        Qwen2ForCausalLM,
        torch.bfloat16,
        "1GB",
    ),
}

# These configs are rewritten with the keys that releases of transformers
# before 5 wrote (rope_theta and rope_scaling at the top level), which nearly
# every published model has; the others keep rope_parameters.
OLD_KEYS = {"llama", "qwen2", "qwen3-yarn", "mistral"}


def randomise(model, generator):
    """Give every parameter that starts as a constant a random value."""
    for name, p in model.named_parameters():
        if name.endswith("norm.weight"):
            p.data = 1 + 0.3 * torch.randn(p.shape, generator=generator)
        elif name.endswith(".bias"):
            p.data = 0.3 * torch.randn(p.shape, generator=generator)


def rewrite_config(path):
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = rope if rope["rope_type"] != "default" else None
    config["torch_dtype"] = config.pop("dtype")
    path.write_text(json.dumps(config, indent=2) + "\n")


@torch.no_grad()
def goldens(folder, seed, model=None):
    """Write the goldens of prompts drawn by seed. Returns the smallest lead of a
    greedy token, relative to the largest logit of its row."""
    if model is None:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    rows, prompts, margin = [], [], 1.0
    for n in LENGTHS:
        ids = torch.randint(3, VOCAB, (1, n), generator=generator)
        out = model(ids, use_cache=True)
        rows.append(out.logits[0].float().numpy())
        generated = []
        for _ in range(STEPS):
            first, second = out.logits[0, -1].topk(2)[0].tolist()
            margin = min(margin, (first - second) / float(out.logits[0, -1].abs().max()))
            token = int(out.logits[0, -1].argmax())
            generated.append(token)
            out = model(torch.tensor([[token]]), past_key_values=out.past_key_values, use_cache=True)
            rows.append(out.logits[0].float().numpy())
        prompts.append({"ids": ids[0].tolist(), "generated": generated})
    logits = np.concatenate(rows).astype("<f4")
    assert logits.shape == (sum(LENGTHS) + STEPS * len(LENGTHS), VOCAB)
    logits.tofile(folder / "logits.bin")
    with open(folder / "golden.json", "w") as f:
        json.dump({"vocab": VOCAB, "prompts": prompts}, f)
        f.write("\n")
    print(folder.name, "logits std", float(logits.std()), "max", float(abs(logits).max()), "margin", margin)
    return margin


def permute(w, heads):
    """The row order of Q and K in a llama's GGUF: the halves of each head interleaved."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def make_gguf(folder, path):
    """Write the llama of folder as GGUF, as llama.cpp's converter lays it out."""
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    rope = config["rope_parameters"]
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(rope["factor"])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_eot_token_id(5)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    for name, tensor in load_file(folder / "model.safetensors").items():
        assert tensor.dtype == torch.float16
        w = tensor.numpy()
        for part, heads in (("q_proj", config["num_attention_heads"]), ("k_proj", config["num_key_value_heads"])):
            if part in name:
                w = permute(w, heads)
        stem, suffix = name.rsplit(".", 1)
        writer.add_tensor(names.get_name(stem) + "." + suffix, np.ascontiguousarray(w))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# How random blocks of each quantised format become weights of mean 0: the
# byte positions of d and of the minimum, and minimum / d.
Q = gguf.GGMLQuantizationType
BLOCKS = {
    Q.Q8_0: (0, None, 0), Q.Q4_0: (0, None, 0), Q.Q4_1: (0, 2, -7.5),
    Q.Q4_K: (0, 2, 7.5), Q.Q5_K: (0, 2, 15.5), Q.Q6_K: (208, None, 0),
}


def random_blocks(rng, q, rows, cols, std):
    """Quantised rows whose bytes are random but for the scales, about N(0, std)."""
    size, nbytes = gguf.GGML_QUANT_SIZES[q]
    d_at, m_at, ratio = BLOCKS[q]
    n = rows * cols // size
    data = rng.integers(0, 256, (n, nbytes), dtype=np.uint8)

    def scales(d):
        data[:, d_at:d_at + 2] = d.astype("<f2").view(np.uint8).reshape(n, 2)
        if m_at is not None:
            data[:, m_at:m_at + 2] = (d.astype("<f2") * ratio).astype("<f2").view(np.uint8).reshape(n, 2)

    scales(np.full(n, 0.01))
    unit = gguf.dequantize(data, q).std() / 0.01
    scales(std / unit * rng.uniform(0.7, 1.4, n))
    return data.reshape(rows, cols // size * nbytes)


def make_quantised(folder, seed):
    """A llama of width 256 in GGUF with every quantised format, its weights being what gguf dequantises."""
    hidden, heads, kv_heads, layers = 256, 4, 2, 1
    config = LlamaConfig(
        vocab_size=VOCAB, hidden_size=hidden, num_attention_heads=heads, num_key_value_heads=kv_heads, intermediate_size=hidden,
        num_hidden_layers=layers, max_position_embeddings=256, tie_word_embeddings=False, rms_norm_eps=1e-5,
        rope_parameters=dict(rope_type="default", rope_theta=10000.0), bos_token_id=1, eos_token_id=2, attn_implementation="eager",
    )
    formats = {
        "model.embed_tokens": Q.Q6_K, "lm_head": Q.Q8_0, "q_proj": Q.Q4_K, "k_proj": Q.Q5_K, "v_proj": Q.Q6_K, "o_proj": Q.Q4_0,
        "gate_proj": Q.Q4_1, "up_proj": Q.Q4_K, "down_proj": Q.Q5_K,
    }
    model = LlamaForCausalLM(config)
    rng = np.random.default_rng(seed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    writer = gguf.GGUFWriter(folder / "model.gguf", "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(hidden)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, layers)
    state = {}
    for name, p in model.state_dict().items():
        stem, suffix = name.rsplit(".", 1)
        if name.endswith("norm.weight"):
            w = (1 + 0.3 * rng.standard_normal(hidden)).astype("<f4")
            writer.add_tensor(names.get_name(stem) + "." + suffix, w)
        else:
            (q,) = [q for part, q in formats.items() if stem.endswith(part)]
            data = random_blocks(rng, q, p.shape[0], p.shape[1], 0.06)
            writer.add_tensor(names.get_name(stem) + "." + suffix, data, raw_dtype=q)
            w = gguf.dequantize(data, q)
            for part, n in (("q_proj", heads), ("k_proj", kv_heads)):
                if part in name:  # the file's rows are interleaved: put them back
                    w = w.reshape(n, w.shape[0] // n // 2, 2, -1).swapaxes(1, 2).reshape(w.shape)
        state[name] = torch.from_numpy(np.ascontiguousarray(w))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model.load_state_dict(state, strict=True)
    goldens(folder, seed + 1, model)


def main():
    for i, (name, (config, cls, dtype, shard)) in enumerate(MODELS.items()):
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        torch.manual_seed(100 + i)
        model = cls(config)
        randomise(model, torch.Generator().manual_seed(200 + i))
        model.to(dtype).save_pretrained(folder, max_shard_size=shard)
        if name in OLD_KEYS:
            rewrite_config(folder / "config.json")
        (folder / "generation_config.json").unlink(missing_ok=True)
        goldens(folder, 300 + i)
    make_gguf(HERE / "llama-linear", HERE / "llama-linear.gguf")
    make_quantised(HERE / "llama-quant", 400)


if __name__ == "__main__":
    sys.exit(main())
