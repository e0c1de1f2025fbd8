"""Makes the test resources of org.qlora4j.checkpoint: weight files and digests made by other people's tools.

usage: make_checkpoint_resources.py GGUF_TO_HF MODEL_GGUF MODEL_DIR [OUT]
  GGUF_TO_HF  the script gguf_to_hf.py, which decides what a GGUF file means
  MODEL_GGUF  SmolLM2-135M-Instruct.Q4_1.gguf        MODEL_DIR  folder with its config.json
  OUT         default: ../resources/checkpoint
Made with Python 3.11.7, torch 2.10.0, safetensors 0.8.0, gguf 0.19.0, numpy 2.4.6. Seed 0.

Writes  python.safetensors         tensors of many types (see safetensors_file)
        gqa.gguf, gqa.sha256       a Llama of 3 query heads and 1 key-value head, in every type that is read
        bias.gguf, bias.sha256     a Llama of 5 query heads with biases, no head_count_kv, version 3, alignment 64
        smollm2-q4_1.sha256        digests of a real model
A line of *.sha256 is DIGEST NAME SHAPE, the digest the first 16 digits over the bf16 bytes of the Hugging Face tensor.
"""
import hashlib, json, struct, subprocess, sys, tempfile
from pathlib import Path
import numpy as np
import torch
from gguf import GGMLQuantizationType as Q, GGUFWriter
from safetensors.torch import save_file

to_hf, model_gguf, model_dir = sys.argv[1:4]
out = Path(sys.argv[4] if len(sys.argv) > 4 else Path(__file__).parent.parent / "resources/checkpoint")
out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(0)


def safetensors_file():
    """Values are i - 3 for element i, so that a test can compute them; names sort differently in UTF-8 and UTF-16."""
    ramp = lambda dtype, *shape: (torch.arange(int(np.prod(shape))) - 3).to(dtype).reshape(shape)
    tensors = {"b.f32": ramp(torch.float32, 2, 3), "a.f32": ramp(torch.float32, 1), "z.f64": ramp(torch.float64, 2),
               "c.bf16": ramp(torch.bfloat16, 3, 1, 2), "c.f16": ramp(torch.float16, 5), "d.i8": ramp(torch.int8, 7),
               "d.u8": ramp(torch.uint8, 3), "e.i16": ramp(torch.int16, 3), "e.i32": ramp(torch.int32, 3),
               "e.i64": ramp(torch.int64, 3), "f.bool": torch.tensor([True, False, True]),
               "g.scalar": torch.tensor(2.5), "h.empty": torch.zeros(0, 4), "i.\U0001F600": ramp(torch.int8, 1),
               "i.\uFB01": ramp(torch.int8, 2), 'j."quoted\\name': ramp(torch.int8, 3), "k.f8": ramp(torch.float8_e4m3fn, 4)}
    save_file(tensors, out / "python.safetensors", metadata={"format": "pt"})


def random_blocks(kind, rows, cols):
    """Raw blocks of random bits, with finite fp16 fields: subnormal, huge and negative scales all occur."""
    size, halves = {Q.Q4_1: (20, 2), Q.Q8_0: (34, 1)}[kind]
    blocks = rng.integers(0, 256, (rows * cols // 32, size), dtype=np.uint8)
    fields = blocks[:, :2 * halves].copy().view(np.uint16)
    fields[(fields & 0x7C00) == 0x7C00] ^= 0x4000                       # no infinity, no NaN
    blocks[:, :2 * halves] = fields.view(np.uint8)
    return blocks.reshape(rows, cols // 32 * size)


def tensor(kind, *shape):
    if kind in (Q.Q4_1, Q.Q8_0): return random_blocks(kind, *shape)
    x = rng.standard_normal(shape).astype(np.float32)
    if kind == Q.F32: return x
    if kind == Q.F16:
        bits = rng.integers(0, 65536, shape, dtype=np.uint16); bits[(bits & 0x7C00) == 0x7C00] ^= 0x4000
        return bits.view(np.float16)
    return (x.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)   # BF16, as bytes


def gguf_file(name, heads, kv, head_dim, kinds, biases=False, alignment=None):
    w = GGUFWriter(out / f"{name}.gguf", "llama")
    if alignment: w.add_custom_alignment(alignment)
    w.add_head_count(heads); w.add_block_count(1); w.add_rope_freq_base(10000.0)
    if kv != heads: w.add_head_count_kv(kv)
    w.add_array("test.names", ["a", "bb", ""]); w.add_array("test.numbers", [1, 2, 3]); w.add_bool("test.flag", True)
    hidden, inner = heads * head_dim, 64
    shapes = {"token_embd": (6, hidden), "output_norm": (hidden,), "output": (6, hidden), "blk.0.attn_norm": (hidden,), "blk.0.ffn_norm": (hidden,),
              "blk.0.attn_q": (hidden, hidden), "blk.0.attn_k": (kv * head_dim, hidden), "blk.0.attn_v": (kv * head_dim, hidden),
              "blk.0.attn_output": (hidden, hidden), "blk.0.ffn_gate": (inner, hidden), "blk.0.ffn_up": (inner, hidden), "blk.0.ffn_down": (hidden, inner)}
    for i, (part, shape) in enumerate(shapes.items()):
        kind = Q.F32 if len(shape) == 1 else kinds[i % len(kinds)]
        w.add_tensor(f"{part}.weight", tensor(kind, *shape), raw_dtype=kind)
    if biases:
        for part, rows in (("attn_q", hidden), ("attn_k", kv * head_dim), ("attn_v", kv * head_dim)):
            w.add_tensor(f"blk.0.{part}.bias", tensor(Q.F32, rows), raw_dtype=Q.F32)
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps({"num_attention_heads": heads, "num_key_value_heads": kv}))
        digests(name, out / f"{name}.gguf", folder)


def digests(name, gguf, config_dir):
    with tempfile.TemporaryDirectory() as folder:
        source = Path(to_hf).read_text()                                # it knows no biases: 1-D, permuted like rows
        source = source.replace('f"model.layers.{layer}.{BLOCK[part]}.weight"', 'f"model.layers.{layer}.{BLOCK[part]}.{n.rsplit(\'.\')[-1]}"')
        source = source.replace("rows, cols = w.shape; return", "shape = w.shape; rows = shape[0]; cols = w.size // rows; return")
        source = source.replace(".swapaxes(1, 2).reshape(rows, cols)", ".swapaxes(1, 2).reshape(shape)")
        script = Path(folder, "to_hf.py"); script.write_text(source)
        subprocess.run([sys.executable, script, gguf, config_dir, folder], check=True)
        data = Path(folder, "model.safetensors").read_bytes()
    n, = struct.unpack("<Q", data[:8]); header = json.loads(data[8:8 + n]); del header["__metadata__"]
    with open(out / f"{name}.sha256", "w") as f:
        for key, e in header.items():
            begin, end = e["data_offsets"]
            f.write(f"{hashlib.sha256(data[8 + n + begin:8 + n + end]).hexdigest()[:16]} {key} {'x'.join(map(str, e['shape']))}\n")


safetensors_file()
gguf_file("gqa", heads=3, kv=1, head_dim=32, kinds=[Q.Q4_1, Q.Q8_0, Q.F16, Q.BF16, Q.F32])
gguf_file("bias", heads=5, kv=5, head_dim=4, kinds=[Q.F32, Q.BF16], biases=True, alignment=64)
digests("smollm2-q4_1", model_gguf, model_dir)
