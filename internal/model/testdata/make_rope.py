"""Writes rope.json: the rotary frequencies that transformers computes for the
settings of published models and for every option of YaRN. Needs the packages of
testdata/models/requirements.txt.

    python make_rope.py > rope.json
"""
import json

from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

CASES = {
    "llama-3.1": (128, 131072, dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)),
    "llama-3.2": (64, 131072, dict(rope_type="llama3", rope_theta=500000.0, factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)),
    "qwen3-yarn": (128, 40960, dict(rope_type="yarn", rope_theta=1000000.0, factor=4.0, original_max_position_embeddings=32768)),
    "yarn-mscale": (64, 163840, dict(rope_type="yarn", rope_theta=10000.0, factor=40.0, original_max_position_embeddings=4096, beta_fast=32, beta_slow=1, mscale=0.707, mscale_all_dim=1.0)),
    "yarn-betas": (96, 65536, dict(rope_type="yarn", rope_theta=150000.0, factor=16.0, original_max_position_embeddings=4096, beta_fast=20.0, beta_slow=2.0, attention_factor=1.25)),
    "yarn-no-truncate": (64, 131072, dict(rope_type="yarn", rope_theta=150000.0, factor=32.0, original_max_position_embeddings=4096, beta_fast=32.0, beta_slow=1.0, truncate=False)),
    "linear": (128, 16384, dict(rope_type="linear", rope_theta=10000.0, factor=4.0)),
}

out = []
for name, (dim, positions, rope) in CASES.items():
    config = LlamaConfig(hidden_size=4 * dim, num_attention_heads=4, head_dim=dim, max_position_embeddings=positions, rope_parameters=dict(rope))
    inv, scale = ROPE_INIT_FUNCTIONS[rope["rope_type"]](config, "cpu")
    out.append(dict(name=name, head_dim=dim, max_position_embeddings=positions, rope_parameters=rope, scale=scale, inv=inv.tolist()))
print(json.dumps(out))
