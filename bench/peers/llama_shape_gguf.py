"""Writes a Q4_0 GGUF of the shape llama-1.1b (TinyLlama: 2048 x 22 layers) with random codes, for timing llama.cpp: head in Q6_K as
llama-quantize makes it. Speed does not depend on the values. usage: llama_shape_gguf.py OUT.gguf
Versions: gguf 0.17 or newer, numpy; seed 0."""
import sys
import numpy as np
from gguf import GGUFWriter, GGMLQuantizationType as T

VOCAB, HIDDEN, LAYERS, INNER, HEADS, KV = 32000, 2048, 22, 5632, 32, 4
rng = np.random.default_rng(0)
w = GGUFWriter(sys.argv[1], "llama")
w.add_name("llama-1.1b random")
w.add_context_length(2048)
w.add_embedding_length(HIDDEN)
w.add_block_count(LAYERS)
w.add_feed_forward_length(INNER)
w.add_head_count(HEADS)
w.add_head_count_kv(KV)
w.add_layer_norm_rms_eps(1e-5)
w.add_rope_dimension_count(HIDDEN // HEADS)
w.add_vocab_size(VOCAB)
w.add_file_type(2)
w.add_tokenizer_model("llama")
tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
tokens += [f"t{i}" for i in range(VOCAB - len(tokens))]
w.add_token_list(tokens)
w.add_token_scores([0.0] * VOCAB)
w.add_token_types([2, 3, 3] + [6] * 256 + [1] * (VOCAB - 259))
w.add_bos_token_id(1)
w.add_eos_token_id(2)


def q4_0(name, out, cols):
    blocks = rng.integers(0, 256, (out, cols // 32, 18), dtype=np.uint8)
    blocks[..., :2] = np.frombuffer(np.float16(0.004).tobytes(), np.uint8)
    w.add_tensor(name, blocks.reshape(out, -1), raw_dtype=T.Q4_0)


def q6_k(name, out, cols):
    blocks = rng.integers(0, 256, (out, cols // 256, 210), dtype=np.uint8)
    blocks[..., 192:208] = 1
    blocks[..., 208:] = np.frombuffer(np.float16(0.001).tobytes(), np.uint8)
    w.add_tensor(name, blocks.reshape(out, -1), raw_dtype=T.Q6_K)


def ones(name, n):
    w.add_tensor(name, np.ones(n, np.float32))


q4_0("token_embd.weight", VOCAB, HIDDEN)
for i in range(LAYERS):
    p = f"blk.{i}."
    ones(p + "attn_norm.weight", HIDDEN)
    ones(p + "ffn_norm.weight", HIDDEN)
    q4_0(p + "attn_q.weight", HIDDEN, HIDDEN)
    q4_0(p + "attn_k.weight", HIDDEN // HEADS * KV, HIDDEN)
    q4_0(p + "attn_v.weight", HIDDEN // HEADS * KV, HIDDEN)
    q4_0(p + "attn_output.weight", HIDDEN, HIDDEN)
    q4_0(p + "ffn_gate.weight", INNER, HIDDEN)
    q4_0(p + "ffn_up.weight", INNER, HIDDEN)
    q4_0(p + "ffn_down.weight", HIDDEN, INNER)
ones("output_norm.weight", HIDDEN)
q6_k("output.weight", VOCAB, HIDDEN)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
