"""Makes a checkpoint of LLaMA-7B's shape (bf16, 13.5 GB, random) and an adapter of rank 16 on its seven linears in a folder, merges them with
`qlora merge`, prints the largest resident size of the process, and deletes all again. It must stay under 3 GB.

Versions: numpy 2. Not part of any build; needs 28 GB of disk.
  python check_merge_memory.py EMPTY_FOLDER original QLORA_COMMAND...
"""
import json, os, resource, shutil, struct, subprocess, sys, time
import numpy as np

HIDDEN, INNER, LAYERS, ROWS, RANK, HEADS = 4096, 11008, 32, 32000, 16, 32
LINEARS = {
    "self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (HIDDEN, HIDDEN), "self_attn.v_proj": (HIDDEN, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN), "mlp.gate_proj": (INNER, HIDDEN), "mlp.up_proj": (INNER, HIDDEN), "mlp.down_proj": (HIDDEN, INNER),
}
folder, into, command = sys.argv[1], sys.argv[2], sys.argv[3:]
random = np.random.default_rng(7)
noise = (random.standard_normal(1 << 25, dtype=np.float32) * 0.02).view(np.uint32)
BF16 = (noise >> 16).astype("<u2")  # cut, not rounded: any numbers will do
F32 = noise.view("<f4")


def write(path, tensors, dtype):
    """tensors: names and shapes; the values are the same noise again and again."""
    values, width = (BF16, 2) if dtype == "BF16" else (F32, 4)
    header, at = {}, 0
    for name, shape in tensors:
        size = int(np.prod(shape)) * width
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape in tensors:
            left = int(np.prod(shape))
            while left > 0:
                taken = min(left, len(values))
                file.write(values[:taken].tobytes())
                left -= taken


base, adapter, out = (os.path.join(folder, name) for name in ("base", "adapter", "merged"))
os.makedirs(base)
os.makedirs(adapter)
try:
    json.dump({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "vocab_size": ROWS, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
        "hidden_act": "silu", "tie_word_embeddings": False, "torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2,
    }, open(os.path.join(base, "config.json"), "w"))
    top = [("model.embed_tokens.weight", (ROWS, HIDDEN)), ("model.norm.weight", (HIDDEN,)), ("lm_head.weight", (ROWS, HIDDEN))]
    shards = [[] for _ in range(4)]
    shards[0] += top
    for layer in range(LAYERS):
        prefix = "model.layers.%d." % layer
        shards[layer % 4] += [(prefix + name + ".weight", shape) for name, shape in LINEARS.items()]
        shards[layer % 4] += [(prefix + name + ".weight", (HIDDEN,)) for name in ("input_layernorm", "post_attention_layernorm")]
    index = {}
    for i, tensors in enumerate(shards):
        name = "model-%05d-of-%05d.safetensors" % (i + 1, len(shards))
        write(os.path.join(base, name), tensors, "BF16")
        index.update({tensor: name for tensor, _ in tensors})
    json.dump({"metadata": {}, "weight_map": index}, open(os.path.join(base, "model.safetensors.index.json"), "w"))
    factors = []
    for layer in range(LAYERS):
        for name, (rows, columns) in LINEARS.items():
            path = "base_model.model.model.layers.%d.%s" % (layer, name)
            factors += [(path + ".lora_A.weight", (RANK, columns)), (path + ".lora_B.weight", (rows, RANK))]
    write(os.path.join(adapter, "adapter_model.safetensors"), factors, "F32")
    json.dump({
        "peft_type": "LORA", "base_model_name_or_path": base, "r": RANK, "lora_alpha": 32, "lora_dropout": 0.0, "bias": "none",
        "target_modules": [name.split(".")[1] for name in LINEARS],
    }, open(os.path.join(adapter, "adapter_config.json"), "w"))
    began = time.time()
    code = subprocess.call(command + ["merge", "--model", base, "--adapter", adapter, "--into", into, "--out", out])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print("exit %d after %.0f s; largest resident size %.2f GB" % (code, time.time() - began, peak))
    sys.exit(code != 0 or peak > 3)
finally:
    shutil.rmtree(folder)
