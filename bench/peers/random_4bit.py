"""Writes a checkpoint of the shape of Llama 3 8B with random weights in bitsandbytes' 4 bits (5.7 GB), for runs that measure memory.

    python random_4bit.py TOKENIZER_FOLDER OUT [LAYERS]

Weights are uniform codes of NF4 with double quantization, absmax about 0.05; tables are bf16. numpy alone; seed 1.
"""
import json
import os
import shutil
import struct
import sys

import numpy as np

HIDDEN, INNER, KV, VOCABULARY = 4096, 14336, 1024, 128256
NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
       -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
       0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]
LINEARS = {"self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (KV, HIDDEN), "self_attn.v_proj": (KV, HIDDEN),
           "self_attn.o_proj": (HIDDEN, HIDDEN), "mlp.gate_proj": (INNER, HIDDEN), "mlp.up_proj": (INNER, HIDDEN),
           "mlp.down_proj": (HIDDEN, INNER)}
rng = np.random.default_rng(1)


def table(rows):
    values = rng.normal(0, 0.02, (rows, HIDDEN)).astype(np.float32)
    return (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()


def ones():
    return np.full(HIDDEN, 0x3F80, np.uint16).tobytes()


def linear(name, out, inner):
    n, blocks = out * inner, out * inner // 64
    state = {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [out, inner], "nested_blocksize": 256,
             "nested_dtype": "float32", "nested_offset": 0.05}
    state = json.dumps(state).encode()
    yield name, "U8", [n // 2, 1], lambda: rng.integers(0, 256, n // 2, np.uint8).tobytes()
    yield name + ".absmax", "U8", [blocks], lambda: rng.integers(0, 256, blocks, np.uint8).tobytes()
    yield name + ".quant_map", "F32", [16], lambda: np.array(NF4, np.float32).tobytes()
    yield name + ".nested_absmax", "F32", [-(-blocks // 256)], lambda: np.full(-(-blocks // 256), 0.01, np.float32).tobytes()
    yield name + ".nested_quant_map", "F32", [256], lambda: np.linspace(-1, 1, 256, dtype=np.float32).tobytes()
    yield name + ".quant_state.bitsandbytes__nf4", "U8", [len(state)], lambda: state


def tensors(layers):
    yield "model.embed_tokens.weight", "BF16", [VOCABULARY, HIDDEN], lambda: table(VOCABULARY)
    for i in range(layers):
        prefix = f"model.layers.{i}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield prefix + norm + ".weight", "BF16", [HIDDEN], ones
        for name, (out, inner) in LINEARS.items():
            yield from linear(prefix + name + ".weight", out, inner)
    yield "model.norm.weight", "BF16", [HIDDEN], ones
    yield "lm_head.weight", "BF16", [VOCABULARY, HIDDEN], lambda: table(VOCABULARY)


def main(tokenizer, out, layers):
    os.makedirs(out)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(os.path.join(tokenizer, name), out)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCABULARY, "hidden_size": HIDDEN,
              "intermediate_size": INNER, "num_hidden_layers": layers, "num_attention_heads": 32, "num_key_value_heads": 8,
              "max_position_embeddings": 8192, "rope_theta": 500000.0, "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
              "bos_token_id": 1, "eos_token_id": 2,
              "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4",
                                      "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": "bfloat16"}}
    with open(os.path.join(out, "config.json"), "w") as file:
        json.dump(config, file)
    sizes = {"U8": 1, "F32": 4, "BF16": 2}
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, dtype, shape, _ in tensors(layers):
        size = int(np.prod(shape)) * sizes[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with open(os.path.join(out, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for _, _, _, data in tensors(layers):
            file.write(data())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 32)
