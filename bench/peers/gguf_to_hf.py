"""Writes the checkpoint in bf16 safetensors of a GGUF of LLaMA's shape, for peers that read no GGUF.

usage: gguf_to_hf.py MODEL.gguf FOLDER_OF_CONFIG_AND_TOKENIZER OUT
Every tensor equals, byte for byte, what transformers 5.23 writes when it loads the same GGUF dequantized in bfloat16.
"""

import json
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize

LAYER = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def name_in_checkpoint(name):
    if name in TOP:
        return TOP[name]
    _, layer, part, _ = name.split(".")
    return f"model.layers.{layer}.{LAYER[part]}.weight"


def halves(weight, heads):
    """A GGUF stores the pairs that rotary turns side by side, a checkpoint as halves of a head."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def bf16(weight):
    """Rounded to nearest even."""
    bits = np.ascontiguousarray(weight, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


source, out = Path(sys.argv[2]), Path(sys.argv[3])
out.mkdir(parents=True, exist_ok=True)
config = json.loads((source / "config.json").read_text())
tensors = {}
for stored in GGUFReader(sys.argv[1]).tensors:
    weight = dequantize(stored.data, stored.tensor_type).reshape([int(size) for size in stored.shape[::-1]])
    if ".attn_q." in stored.name:
        weight = halves(weight, config["num_attention_heads"])
    if ".attn_k." in stored.name:
        weight = halves(weight, config["num_key_value_heads"])
    tensors[name_in_checkpoint(stored.name)] = bf16(weight)

header, at = {"__metadata__": {"format": "pt"}}, 0
for name in sorted(tensors):
    size = tensors[name].nbytes
    header[name] = {"dtype": "BF16", "shape": list(tensors[name].shape), "data_offsets": [at, at + size]}
    at += size
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open(out / "model.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(text)))
    file.write(text)
    for name in sorted(tensors):
        file.write(tensors[name].tobytes())
for extra in (*source.glob("*.json"), *source.glob("*.jinja")):
    shutil.copy(extra, out)
