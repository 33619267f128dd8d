#!/usr/bin/env python3
"""Compute this folder's goldens for the file that fetch_models.py fetches.

Needs torch, transformers and gguf (requirements.txt). README.md describes the
files written. Nothing here runs our own code:

- tensors.json   the gguf package dequantises each tensor to float32
- golden.json    transformers runs the model on those float32 weights
- tokens.json    the tokenizer that transformers converts from the file; what
                 that conversion leaves out, the splitting of digits, is added
"""
import hashlib
import json
import pathlib

import gguf
import numpy as np
import torch
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

import fetch_models
import texts

HERE = pathlib.Path(__file__).resolve().parent
STEPS = 32


def field(reader, key):
    return reader.get_field(key).contents()


def dequantised(reader):
    """Name -> float32 array of each tensor as it lies in the file."""
    return {t.name: gguf.dequantize(t.data, t.tensor_type).astype("<f4").reshape(tuple(reversed(t.shape.tolist()))) for t in reader.tensors}


def unpermute(w, heads):
    """Hugging Face's row order of Q and K: the reverse of llama.cpp's converter."""
    return w.reshape(heads, w.shape[0] // heads // 2, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def build_model(reader, tensors):
    heads, kv_heads = field(reader, "llama.attention.head_count"), field(reader, "llama.attention.head_count_kv")
    layers = field(reader, "llama.block_count")
    config = LlamaConfig(
        vocab_size=tensors["token_embd.weight"].shape[0],
        hidden_size=field(reader, "llama.embedding_length"),
        intermediate_size=field(reader, "llama.feed_forward_length"),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=field(reader, "llama.context_length"),
        rms_norm_eps=field(reader, "llama.attention.layer_norm_rms_epsilon"),
        rope_parameters=dict(rope_type="default", rope_theta=field(reader, "llama.rope.freq_base")),
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config).eval()
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, layers)
    state = {}
    for name, p in model.state_dict().items():
        if name == "lm_head.weight":
            state[name] = torch.from_numpy(tensors["token_embd.weight"])
            continue
        stem, suffix = name.rsplit(".", 1)
        w = tensors[names.get_name(stem) + "." + suffix]
        if "q_proj" in name:
            w = unpermute(w, heads)
        elif "k_proj" in name:
            w = unpermute(w, kv_heads)
        state[name] = torch.from_numpy(np.ascontiguousarray(w))
    model.load_state_dict(state, strict=True)
    return model


def check_against_loader(path, model, ids):
    """transformers' own GGUF loader must give the same model."""
    other = LlamaForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager").eval()
    x = torch.tensor([ids])
    diff = (model(x).logits - other(x).logits).abs().max().item()
    assert diff < 1e-3, diff
    print("difference from transformers' GGUF loader:", diff)


def load_tokenizer(path):
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])
    return tokenizer


def greedy(model, ids):
    """STEPS greedy ids; for each the gap in logit to the runner-up and its log-probability."""
    out = model(torch.tensor([ids]), use_cache=True)
    generated, margins, logprobs = [], [], []
    for _ in range(STEPS):
        logits = out.logits[0, -1]
        top = logits.topk(2)
        token = int(top.indices[0])
        generated.append(token)
        margins.append(round(float(top.values[0] - top.values[1]), 5))
        logprobs.append(round(float(logits.log_softmax(-1)[token]), 6))
        out = model(torch.tensor([[token]]), past_key_values=out.past_key_values, use_cache=True)
    return generated, margins, logprobs


def write(name, value, **kw):
    with open(HERE / name, "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False, **kw)
        f.write("\n")


@torch.no_grad()
def main():
    path = fetch_models.cache() / pathlib.PurePosixPath(fetch_models.MEMBER).name
    assert fetch_models.whole(path), "run fetch_models.py first"
    reader = gguf.GGUFReader(path)
    tensors = dequantised(reader)
    write("tensors.json", {
        t.name: {"type": t.tensor_type.name, "shape": list(tensors[t.name].shape), "sha256": hashlib.sha256(tensors[t.name].tobytes()).hexdigest()}
        for t in reader.tensors
    }, indent=0)

    tokenizer = load_tokenizer(path)
    encode = lambda text: tokenizer.encode(text, add_special_tokens=False)
    write("tokens.json", [[s, encode(s)] for s in texts.strings()], separators=(",", ":"))

    model = build_model(reader, tensors)
    prompts = []
    for question in texts.QUESTIONS:
        text = tokenizer.apply_chat_template([{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True)
        ids = encode(text)
        if not prompts:
            check_against_loader(path, model, ids)
        generated, margins, logprobs = greedy(model, ids)
        print(round(min(margins), 3), repr(tokenizer.decode(generated)))
        prompts.append({"question": question, "text": text, "ids": ids, "generated": generated, "margins": margins, "logprobs": logprobs})
    ids = encode(texts.PROSE)
    logits = model(torch.tensor([ids])).logits[0]
    nll = torch.nn.functional.cross_entropy(logits[:-1].double(), torch.tensor(ids[1:]), reduction="sum").item()
    print("nll per token", nll / (len(ids) - 1), "over", len(ids))
    write("golden.json", {"prompts": prompts, "prose": {"text": texts.PROSE, "ids": ids, "nll_sum": nll, "nll_mean": nll / (len(ids) - 1)}}, indent=0)


if __name__ == "__main__":
    main()
