#!/usr/bin/env python3
"""Make the tiny random models that transformers cannot save as they are
published: mixtures of experts whose routing hangs on no rounding, and weights
in the packed formats of packing.py.

Needs what make_models.py needs. The logits are those of transformers in float32
on the weights that the packed ones stand for.
"""
import json
import shutil
import sys

import gguf
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    DeepseekV3Config,
    DeepseekV3ForCausalLM,
    GptOssConfig,
    GptOssForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

import packing
from make_models import COMMON, HERE, VOCAB, goldens, randomise

BIG = {**COMMON, "hidden_size": 128}
FULL = dict(rope_type="default", rope_theta=10000.0)


def steer(model, generator):
    """Make routing clear: bf16 and float32 must choose the same experts. The first
    dimensions of the stream, one an expert, keep what the embedding put there:
    for each token a permutation of spaced levels, drawn again while a choice is
    close. Routers read little else."""
    layers = model.model.layers
    routers = [(layer, router_of(layer)) for layer in layers if router_of(layer) is not None]
    experts = routers[0][1].weight.shape[0]
    for layer in layers:
        for norm in (layer.post_attention_layernorm,):
            norm.weight.data[:experts] = 1
        for name, p in layer.named_parameters():
            if name.endswith(("o_proj.weight", "mlp.down_proj.weight", "shared_experts.down_proj.weight")):
                p.data[:experts] = 0
            elif name.endswith("experts.down_proj"):  # [E, out, in], of gpt-oss [E, in, out]
                if "GptOss" in type(model).__name__:
                    p.data[:, :, :experts] = 0
                else:
                    p.data[:, :experts] = 0
            elif name.endswith(("o_proj.bias", "experts.down_proj_bias")):
                p.data[..., :experts] = 0
    for _, router in routers:
        router.weight.data *= 0.02
        router.weight.data[:, :experts] = torch.eye(experts) * 1.5
        if getattr(router, "bias", None) is not None:
            router.bias.data *= 0.1
    levels = torch.linspace(-1.2, 1.2, experts)
    table = model.model.embed_tokens.weight.data
    bias = correction(routers[0][1])
    for token in range(VOCAB):
        while True:
            row = levels[torch.randperm(experts, generator=generator)]
            if clear(row * 4, bias, model.config):
                break
        table[token, :experts] = row * 0.5


def router_of(layer):
    return getattr(layer.mlp, "gate", None) if hasattr(layer.mlp, "experts") and not hasattr(layer.mlp, "router") else getattr(layer.mlp, "router", None)


def correction(router):
    return getattr(router, "e_score_correction_bias", None)


def clear(logits, bias, config):
    """No group and no expert is chosen by less than a step."""
    if bias is None:
        return True
    scores = torch.sigmoid(logits) + bias.float()
    groups = scores.view(config.n_group, -1)
    if config.n_group > 1:
        sums, order = groups.topk(2, -1)[0].sum(-1).sort(descending=True)
        if sums[config.topk_group - 1] - sums[config.topk_group] < 0.12:
            return False
        mask = torch.zeros(config.n_group, dtype=torch.bool)
        mask[order[: config.topk_group]] = True
        scores = groups.masked_fill(~mask[:, None], -1).flatten()
    top = scores.sort(descending=True)[0]
    return top[config.num_experts_per_tok - 1] - top[config.num_experts_per_tok] > 0.05


def watch(model):
    """Record the smallest gap of router logits between chosen and not chosen."""
    gaps = []
    def hook(module, args, output):
        logits, chosen = output[0].float(), output[2]
        if correction(module) is not None:
            return
        order = logits.sort(-1, descending=True)[0]
        k = chosen.shape[-1]
        gaps.append(float((order[..., k - 1] - order[..., k]).min()))
    for layer in model.model.layers:
        if router_of(layer) is not None:
            router_of(layer).register_forward_hook(hook)
    return gaps


def checkpoint(model, dtype, pack, packed):
    """The tensors of the file, and the model's weights made those of the file.
    pack names the function for each weight that packed(name) says is packed."""
    tensors = {}
    gptoss = "GptOss" in type(model).__name__
    for name, p in list(model.named_parameters()) + [(n, b) for n, b in model.named_buffers() if n.endswith("correction_bias")]:
        if model.config.tie_word_embeddings and name == "lm_head.weight":
            continue
        expert = name.endswith(("experts.gate_up_proj", "experts.down_proj"))
        if expert and not gptoss:
            split_experts(tensors, name, p, dtype, pack if packed(name) else None)
        elif expert and pack is not None:
            stacks = [pack(w.T.contiguous()) for w in p.data]  # [out, in]
            for suffix in stacks[0][0]:
                tensors[name + suffix] = torch.stack([t[suffix] for t, _ in stacks])
            p.data = torch.stack([w.T for _, w in stacks]).contiguous()
            again = convert_moe_packed_tensors(tensors[name + "_blocks"], tensors[name + "_scales"], dtype=torch.float32)
            assert torch.equal(again, p.data)
        elif packed(name):
            parts, p.data = pack(p.data)
            tensors.update({name.removesuffix(".weight") + suffix: t for suffix, t in parts.items()})
        else:
            own = torch.float32 if name.endswith("correction_bias") else dtype
            tensors[name] = p.data.to(own).contiguous()
            p.data = tensors[name].float()
    return tensors


def split_experts(tensors, name, p, dtype, pack):
    prefix, part = name.rsplit(".", 1)
    for e in range(p.shape[0]):
        parts = {"down_proj": p.data[e]}
        if part == "gate_up_proj":
            half = p.shape[1] // 2
            parts = {"gate_proj": p.data[e, :half], "up_proj": p.data[e, half:]}
        for key, w in parts.items():
            if pack is None:
                tensors[f"{prefix}.{e}.{key}.weight"] = w.to(dtype).contiguous()
                w.copy_(w.to(dtype).float())
                continue
            made, whole = pack(w.clone())
            tensors.update({f"{prefix}.{e}.{key}{suffix}": t for suffix, t in made.items()})
            w.copy_(whole)


def projections(name):
    return name.endswith("_proj.weight") or name.endswith(("experts.gate_up_proj", "experts.down_proj"))


def deepseek(hidden, **more):
    return DeepseekV3Config(**{
        **COMMON, "hidden_size": hidden, "num_key_value_heads": 4, "num_hidden_layers": 2, "n_routed_experts": 8,
        "num_experts_per_tok": 2, "first_k_dense_replace": 1, "num_mtp_layers": 0, "tie_word_embeddings": False,
        "moe_intermediate_size": 32, "n_shared_experts": 1, **more})


# name: (config, class, dtype of what is not packed, packing, which are packed, quantization_config)
MODELS = {
    "qwen3-moe": (
        Qwen3MoeConfig(**COMMON, head_dim=16, intermediate_size=96, moe_intermediate_size=32, num_hidden_layers=3, num_experts=8,
                       num_experts_per_tok=2, norm_topk_prob=True, mlp_only_layers=[1], tie_word_embeddings=True,
                       rope_parameters=dict(rope_type="default", rope_theta=1000000.0)),
        Qwen3MoeForCausalLM, torch.bfloat16, None, None, None),
    "gpt-oss": (
        GptOssConfig(**COMMON, head_dim=32, intermediate_size=128, num_hidden_layers=2, num_local_experts=8, num_experts_per_tok=4,
                     sliding_window=16, tie_word_embeddings=False,
                     rope_parameters=dict(rope_type="yarn", rope_theta=150000.0, factor=4.0, beta_fast=32.0, beta_slow=1.0, truncate=False,
                                          original_max_position_embeddings=64)),
        GptOssForCausalLM, torch.bfloat16, packing.mxfp4, lambda name: False,
        dict(quant_method="mxfp4", modules_to_not_convert=["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"])),
    "gpt-oss-bf16": (
        GptOssConfig(**COMMON, head_dim=32, intermediate_size=32, num_hidden_layers=2, num_local_experts=4, num_experts_per_tok=2,
                     sliding_window=16, tie_word_embeddings=True, swiglu_limit=5.0,
                     rope_parameters=dict(rope_type="yarn", rope_theta=150000.0, factor=4.0, beta_fast=32.0, beta_slow=1.0, truncate=False,
                                          original_max_position_embeddings=64)),
        GptOssForCausalLM, torch.bfloat16, None, None, None),
    "deepseek-v3": (
        deepseek(64, intermediate_size=96, q_lora_rank=48, kv_lora_rank=32, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32,
                 n_group=4, topk_group=2, routed_scaling_factor=1.5,
                 rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, mscale=1.0, mscale_all_dim=1.0,
                                      original_max_position_embeddings=64)),
        DeepseekV3ForCausalLM, torch.bfloat16, None, None, None),
    "deepseek-v3-fp8": (
        deepseek(128, intermediate_size=128, q_lora_rank=None, kv_lora_rank=64, qk_nope_head_dim=48, qk_rope_head_dim=16, v_head_dim=32,
                 n_group=1, topk_group=1, norm_topk_prob=False, routed_scaling_factor=1.0, rope_parameters=FULL),
        DeepseekV3ForCausalLM, torch.bfloat16, packing.fp8,
        lambda name: projections(name) or name.endswith("kv_a_proj_with_mqa.weight"),
        dict(quant_method="fp8", fmt="e4m3", activation_scheme="dynamic", weight_block_size=[128, 128])),
    "qwen3-fp8": (
        Qwen3Config(**BIG, head_dim=64, intermediate_size=128, num_hidden_layers=2, tie_word_embeddings=True, rope_parameters=FULL),
        Qwen3ForCausalLM, torch.bfloat16, packing.fp8, projections,
        dict(quant_method="fp8", fmt="e4m3", activation_scheme="dynamic", weight_block_size=[128, 128], modules_to_not_convert=["lm_head"])),
    "qwen2-awq": (
        Qwen2Config(**BIG, intermediate_size=256, num_hidden_layers=2, tie_word_embeddings=False, rope_parameters=FULL),
        Qwen2ForCausalLM, torch.float16, lambda w: packing.awq(w, 32), projections,
        dict(quant_method="awq", bits=4, group_size=32, zero_point=True, version="gemm", modules_to_not_convert=None)),
    "llama-gptq": (
        LlamaConfig(**BIG, intermediate_size=256, num_hidden_layers=2, tie_word_embeddings=False, rope_parameters=FULL),
        LlamaForCausalLM, torch.float16, lambda w: packing.gptq(w, 32, False), projections,
        dict(quant_method="gptq", bits=4, group_size=32, desc_act=False, sym=False, checkpoint_format="gptq")),
    "llama-gptq-sym": (
        LlamaConfig(**BIG, intermediate_size=128, num_hidden_layers=1, tie_word_embeddings=True, rope_parameters=FULL),
        LlamaForCausalLM, torch.float16, lambda w: packing.gptq(w, 128, True), projections,
        dict(quant_method="gptq", bits=4, group_size=128, desc_act=False, sym=True)),
    "qwen3-w4a16": (
        Qwen3Config(**BIG, head_dim=32, intermediate_size=128, num_hidden_layers=1, tie_word_embeddings=True, rope_parameters=FULL),
        Qwen3ForCausalLM, torch.bfloat16, lambda w: packing.compressed(w, 64, False), projections,
        dict(quant_method="compressed-tensors", format="pack-quantized", ignore=["lm_head"], config_groups=dict(group_0=dict(
            targets=["Linear"], input_activations=None,
            weights=dict(num_bits=4, type="int", symmetric=False, strategy="group", group_size=64, actorder=None))))),
}


# What an expert stack and a router are called in GGUF.
GGUF_PARTS = {"gate_proj": "ffn_gate_exps", "up_proj": "ffn_up_exps", "down_proj": "ffn_down_exps"}


def make_moe_gguf(folder, path, arch):
    """Write a mixture of experts as GGUF, as llama.cpp's converter lays it out:
    experts of a layer in one tensor, gate and up apart, MXFP4 blocks with the
    second half of the elements in the high nibbles."""
    config = json.loads((folder / "config.json").read_text())
    layers = config["num_hidden_layers"]
    kind = {"qwen3moe": gguf.MODEL_ARCH.QWEN3MOE, "gpt-oss": gguf.MODEL_ARCH.GPT_OSS}[arch]
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(layers)
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_expert_count(config["num_local_experts"])
    writer.add_expert_used_count(config["num_experts_per_tok"])
    writer.add_expert_feed_forward_length(config.get("moe_intermediate_size", config["intermediate_size"]))
    rope = config["rope_parameters"]
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        writer.add_sliding_window(config["sliding_window"])
    names, dense = (gguf.get_tensor_name_map(k, layers) for k in (kind, gguf.MODEL_ARCH.QWEN3))
    stacks = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        stem, _, suffix = name.rpartition(".")
        layer, _, part = name.partition(".mlp.experts.")
        block = "blk." + layer.rpartition(".")[2]
        if part and part[0].isdigit():
            e, key, _ = part.split(".")
            stacks.setdefault(f"{block}.{GGUF_PARTS[key]}.weight", {})[int(e)] = tensor
        elif part.endswith("_blocks"):
            scales = load_file(folder / "model.safetensors")[name.replace("_blocks", "_scales")]
            for key, at in (("gate_proj", 0), ("up_proj", 1)) if part.startswith("gate_up") else (("down_proj", None),):
                rows = slice(None) if at is None else slice(at, None, 2)
                codes, scale = tensor[:, rows], scales[:, rows]
                nibbles = torch.stack([codes & 15, codes >> 4], -1).flatten(-2)  # [E, out, groups, 32]
                data = torch.cat([scale[..., None], nibbles[..., :16] | nibbles[..., 16:] << 4], -1).flatten(2)
                writer.add_tensor(f"{block}.{GGUF_PARTS[key]}.weight", data.numpy(), raw_dtype=gguf.GGMLQuantizationType.MXFP4)
        elif part.endswith("_bias"):
            for key, at in (("gate_proj", 0), ("up_proj", 1)) if part.startswith("gate_up") else (("down_proj", None),):
                bias = tensor if at is None else tensor[:, at::2]
                writer.add_tensor(f"{block}.{GGUF_PARTS[key]}.bias", bias.float().contiguous().numpy())
        elif part:
            pass  # scales, written with their blocks
        elif name.endswith("sinks"):
            writer.add_tensor(names.get_name(name) + ".weight", tensor.float().numpy())
        else:
            add(writer, (names.get_name(stem) or dense.get_name(stem)) + "." + suffix, tensor)
    for name, experts in stacks.items():
        add(writer, name, torch.stack([experts[e] for e in sorted(experts)]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add(writer, name, tensor):
    """Vectors as F32, as the converter has them, the rest as bf16."""
    if tensor.ndim == 1:
        writer.add_tensor(name, tensor.float().numpy())
    else:
        writer.add_tensor(name, tensor.contiguous().view(torch.uint8).numpy(), raw_dtype=gguf.GGMLQuantizationType.BF16)


def main():
    torch.set_num_threads(1)
    for i, (name, (config, cls, dtype, pack, packed, quantisation)) in enumerate(MODELS.items()):
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        torch.manual_seed(500 + i)
        config._attn_implementation = "eager"
        model = cls(config).float()
        generator = torch.Generator().manual_seed(600 + i)
        randomise(model, generator)
        with torch.no_grad():
            for key, p in list(model.named_parameters()) + list(model.named_buffers()):
                if key.endswith("sinks"):
                    p.copy_(torch.randn(p.shape, generator=generator))
                elif key.endswith("correction_bias"):
                    p.copy_(0.1 * torch.randn(p.shape, generator=generator))
            if any(router_of(layer) is not None for layer in model.model.layers):
                steer(model, generator)
            tensors = checkpoint(model, dtype, pack, packed or (lambda key: False))
        if config.tie_word_embeddings:
            model.tie_weights()
        gaps = watch(model)
        model.config.dtype = dtype
        model.config.save_pretrained(folder)
        text = json.loads((folder / "config.json").read_text())
        text["architectures"] = [cls.__name__]
        if quantisation is not None:
            text["quantization_config"] = quantisation
        (folder / "config.json").write_text(json.dumps(text, indent=2, sort_keys=True) + "\n")
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        # Prompts whose greedy tokens lead by more than bf16 arithmetic moves logits.
        margins = {}
        for seed in range(1000 * (i + 1), 1000 * (i + 1) + 40):
            margins[seed] = goldens(folder, seed, model)
            if margins[seed] > 0.02:
                break
        gaps.clear()
        goldens(folder, max(margins, key=margins.get), model)
        if gaps:
            print("  the closest choice of experts:", min(gaps))
    make_moe_gguf(HERE / "qwen3-moe", HERE / "qwen3-moe.gguf", "qwen3moe")
    make_moe_gguf(HERE / "gpt-oss", HERE / "gpt-oss.gguf", "gpt-oss")


if __name__ == "__main__":
    sys.exit(main())
