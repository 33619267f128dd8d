"""Decodes with transformers what TestServing decodes, on the same GPU.

    peer.py FOLDER      reads FOLDER/3-serving.json, writes FOLDER/4-torch.md

Random weights in bfloat16 (gpt-oss too: its MXFP4 needs further packages), a prompt
of 32 tokens, then greedy steps with a static cache, one CUDA graph a batch size where
capturing works, else eager. Models that do not fit, and sizes for which there is no
time left, are left out.
"""

import json
import pathlib
import sys
import time

import torch
import transformers

PROMPT, WARM, STEPS = 32, 4, 64
DEADLINE = time.monotonic() + 105
DEVICE = "cuda"


def config(name):
    if name.startswith("Qwen3"):
        small = name == "Qwen3-0.6B"
        return transformers.Qwen3Config(
            num_hidden_layers=28 if small else 36, hidden_size=1024 if small else 4096,
            intermediate_size=3072 if small else 12288, num_attention_heads=16 if small else 32,
            num_key_value_heads=8, head_dim=128, vocab_size=151936, rope_theta=1e6,
            tie_word_embeddings=small, max_position_embeddings=40960)
    return transformers.GptOssConfig(
        num_hidden_layers=24, hidden_size=2880, intermediate_size=2880, num_attention_heads=64,
        num_key_value_heads=8, head_dim=64, vocab_size=201088, num_local_experts=32,
        num_experts_per_tok=4, sliding_window=128)


def build(name):
    """The model with weights that are random and of the right size; nothing is initialised twice."""
    c = config(name)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(c, dtype=torch.bfloat16)
    model = model.to_empty(device=DEVICE).eval()
    fresh = type(model.model.rotary_emb)(c).to(DEVICE)  # its tables are no parameters
    model.model.rotary_emb = fresh
    for p in model.parameters():
        if p.dim() > 1:
            p.data.normal_(0, 0.02)
        else:
            p.data.fill_(1)
    model.tie_weights()
    return model, c


def decode(model, c, batch):
    cache = transformers.StaticCache(config=c, max_cache_len=PROMPT + WARM + STEPS + 8)
    ids = torch.randint(0, c.vocab_size, (batch, PROMPT), device=DEVICE)
    token = model(ids, past_key_values=cache, use_cache=True).logits[:, -1:].argmax(-1)
    position = torch.full((1,), PROMPT, device=DEVICE, dtype=torch.long)

    def step():
        logits = model(token, past_key_values=cache, use_cache=True, cache_position=position).logits
        token.copy_(logits[:, -1:].argmax(-1))
        position.add_(1)

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(WARM):
            step()
    torch.cuda.current_stream().wait_stream(side)
    run, how = step, "eager"
    try:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        run, how = graph.replay, "CUDA graph"
    except Exception as why:  # data-dependent shapes, such as experts' loops
        torch.cuda.synchronize()
        print(f"not captured: {why}"[:200])
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(STEPS):
        run()
    torch.cuda.synchronize()
    return batch * STEPS / (time.perf_counter() - start), how


def main(folder):
    ours = json.loads((folder / "3-serving.json").read_text())
    rows, model, loaded = [], None, None
    for one in ours:
        if time.monotonic() > DEADLINE:
            break
        try:
            if loaded != one["model"]:
                model = None
                torch.cuda.empty_cache()
                (model, c), loaded = build(one["model"]), one["model"]
            with torch.inference_mode():
                speed, how = decode(model, c, one["batch"])
            rows.append((one, speed, how))
        except Exception as why:
            print(f"{one['model']} at batch {one['batch']}: {why}"[:300])
            torch.cuda.synchronize()
    lines = ["### Beside PyTorch", "",
             f"torch {torch.__version__}, transformers {transformers.__version__}, the same shapes in bfloat16, static cache.", "",
             "| model | batch | torch | tokens/s | reasond | ratio |", "| --- | --- | --- | --- | --- | --- |"]
    for one, speed, how in rows:
        mine = one["tokens_per_s"]
        lines.append(f"| {one['model']} | {one['batch']} | {how} | {speed:.0f} | {mine:.0f} | {mine / speed:.2f} |")
    (folder / "4-torch.md").write_text("\n".join(lines) + "\n\n")
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
