"""Rotary frequencies of transformers for configs of every rope_type, short and long.

Writes ../resources/org/qlora4j/model/rope-reference.json.gz. Made with transformers 5.23.0, torch 2.10.0; nothing random.
"""
import gzip
import json
import pathlib

from transformers import LlamaConfig, Phi3Config
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.models.phi3.modeling_phi3 import Phi3RotaryEmbedding
import torch

COMMON = dict(vocab_size=100, hidden_size=96, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4)
FACTORS = [1.0 + 0.25 * i for i in range(12)]
LONG = [1.5 * (i + 1) ** 1.25 for i in range(12)]
LLAMA = {
    "default": (dict(rope_theta=500000.0), 4096),
    "linear": (dict(rope_theta=10000.0, rope_type="linear", factor=3.0), 4096),
    "dynamic": (dict(rope_theta=10000.0, rope_type="dynamic", factor=2.0), 512),
    "llama3": (dict(rope_theta=500000.0, rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                    original_max_position_embeddings=8192), 131072),
    "yarn": (dict(rope_theta=1000000.0, rope_type="yarn", factor=4.0, original_max_position_embeddings=32768), 131072),
    "yarn, no original": (dict(rope_theta=10000.0, rope_type="yarn", factor=2.5), 512),
    "yarn, own ramp": (dict(rope_theta=10000.0, rope_type="yarn", factor=16.0, beta_fast=20.0, beta_slow=2.0,
                            original_max_position_embeddings=256, truncate=False), 4096),
    "yarn, mscale": (dict(rope_theta=10000.0, rope_type="yarn", factor=40.0, mscale=1.0, mscale_all_dim=0.7,
                          original_max_position_embeddings=4096), 163840),
    "yarn, attention factor": (dict(rope_theta=10000.0, rope_type="yarn", factor=8.0, attention_factor=0.9,
                                    original_max_position_embeddings=512), 4096),
    "longrope": (dict(rope_theta=10000.0, rope_type="longrope", short_factor=FACTORS, long_factor=LONG,
                      original_max_position_embeddings=512, factor=8.0), 4096),
}
PHI3 = {
    "longrope": (dict(rope_theta=10000.0, rope_type="longrope", short_factor=FACTORS, long_factor=LONG), 8192, 512),
    "longrope, half of each head": (dict(rope_theta=10000.0, rope_type="longrope", partial_rotary_factor=0.5,
                                         short_factor=FACTORS[:6], long_factor=LONG[:6]), 131072, 4096),
    "su": (dict(rope_theta=10000.0, type="su", short_factor=FACTORS, long_factor=LONG,
                original_max_position_embeddings=512), 8192, 512),
    "three quarters of each head": (dict(rope_theta=10000.0, rope_type="default", partial_rotary_factor=0.75), 4096, 4096),
}


def case(name, config, rotary, lengths):
    out = []
    for length in lengths:
        rotary(torch.zeros(1), torch.tensor([[length - 1]]))
        out.append({"name": f"{config.model_type}, {name}, {length} positions", "config": json.loads(config.to_json_string()),
                    "length": length, "frequencies": [float(f) for f in rotary.inv_freq],
                    "attention": float(rotary.attention_scaling)})
    return out


cases = []
for name, (rope, positions) in LLAMA.items():
    config = LlamaConfig(**COMMON, max_position_embeddings=positions, rope_parameters=dict(rope))
    cases += case(name, config, LlamaRotaryEmbedding(config), [300, 700])
for name, (rope, positions, original) in PHI3.items():
    config = Phi3Config(**COMMON, pad_token_id=0, max_position_embeddings=positions, original_max_position_embeddings=original,
                        rope_parameters=dict(rope))
    cases += case(name, config, Phi3RotaryEmbedding(config), [300, 5000])
target = pathlib.Path(__file__).parent / "../resources/org/qlora4j/model/rope-reference.json.gz"
target.parent.mkdir(parents=True, exist_ok=True)
keep = ("model_type", "hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size", "vocab_size", "head_dim",
        "max_position_embeddings", "original_max_position_embeddings", "rope_parameters")
for c in cases:
    c["config"] = {k: c["config"][k] for k in keep if k in c["config"]}
target.write_bytes(gzip.compress(("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n").encode(), 9, mtime=0))
print(len(cases), "cases")
