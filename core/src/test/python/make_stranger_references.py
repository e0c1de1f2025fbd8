"""Makes core/src/test/resources/strangers/expected.json: the loss of transformers on checkpoints and of PEFT on adapters that
are odd but sound. The folders beside it are inputs: base (a random LLaMA of two layers), bnb-skip (bitsandbytes, with layers
left in 16 bits), gguf (F32), adapter-*. The other cases are base with what the key says changed.

usage: make_stranger_references.py RESOURCES     core/src/test/resources/strangers
made with torch 2.10.0, transformers 5.23.0, peft 0.21.2, bitsandbytes 0.50.2, safetensors 0.8.0, gguf 0.19.0; nothing is drawn
"""
import json, shutil, sys, tempfile
from pathlib import Path

import bitsandbytes.functional as F
import numpy as np
import torch
from gguf import GGUFReader
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

root = Path(sys.argv[1])
IDS = torch.tensor([[1] + [7 + (i * 37) % 150 for i in range(23)]])
config = json.loads((root / "base/config.json").read_text())
tensors = load_file(root / "base/model.safetensors")
EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def loss(model):
    with torch.no_grad():
        return model.float().eval()(IDS, labels=IDS).loss.item()


def of(config, tensors):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(config))
        save_file({k: v.clone() for k, v in tensors.items()}, Path(folder, "model.safetensors"), metadata={"format": "pt"})
        return loss(AutoModelForCausalLM.from_pretrained(folder))


out = {"base": of(config, tensors)}

# 01: the flag says tied, the head differs
out["tied-flag-own-head"] = of({**config, "tie_word_embeddings": True}, tensors)
# a head that is the embeddings once more
out["tied-flag-same-head"] = of({**config, "tie_word_embeddings": True}, {**tensors, HEAD: tensors[EMBED]})
tied = {k: v for k, v in tensors.items() if k != HEAD}
out["tied"] = of({**config, "tie_word_embeddings": True}, tied)

# 02: rope_scaling beside rope_parameters
DEFAULT = {"rope_type": "default", "rope_theta": 10000.0}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 5000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}
out["rope"] = []
for parameters, scaling, theta in [
        (DEFAULT, {"rope_type": "linear", "factor": 4.0}, None),
        ({"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0}, {"rope_type": "default"}, None),
        (LLAMA3, {"type": "linear", "factor": 2.0}, 700.0),
        (LLAMA3, {}, None), (LLAMA3, None, 700.0),
        (DEFAULT, {**LLAMA3, "rope_theta": 300.0}, None)]:
    keys = {"rope_parameters": parameters, "rope_scaling": scaling} | ({"rope_theta": theta} if theta else {})
    out["rope"].append({"keys": keys, "loss": of({**config, **keys}, tensors)})

# 03: bitsandbytes beside 16 bits; its codes decoded in f32, as QLoRA computes in float32
state = {}
packed = load_file(root / "bnb-skip/model.safetensors")
for key in {k.split(".weight")[0] + ".weight" for k in packed}:
    marks = [k for k in packed if k.startswith(key + ".quant_state")]
    if not marks:
        state[key] = packed[key].float()
        continue
    dict_of = {k[len(key) + 1:]: v for k, v in packed.items() if k.startswith(key + ".")}
    quant = F.QuantState.from_dict(dict_of, device=torch.device("cpu"))
    quant.dtype = torch.float32  # else the decoded weight is rounded to bf16
    state[key] = F.dequantize_4bit(packed[key], quant)
bnb = json.loads((root / "bnb-skip/config.json").read_text())
del bnb["quantization_config"]
out["bnb-skip"] = of({**bnb, "dtype": "float32"}, state)

# 09: names
out["no-prefix"] = of(config, {k.removeprefix("model."): v for k, v in tensors.items()})
out["tied-only-lm_head"] = of({**config, "tie_word_embeddings": True},
                              {(HEAD if k == EMBED else k): v for k, v in tied.items()})

# 12: what nobody needs
extra = {f"model.layers.{i}.self_attn.{p}_proj.bias": torch.ones(tensors[f"model.layers.{i}.self_attn.{p}_proj.weight"].shape[0])
         for i in range(2) for p in "qkvo"}
out["unused-biases"] = of(config, {**tensors, **extra})

# 14: GGUF in F32, permuted back
reader = GGUFReader(root / "gguf/model.gguf")
names = {"token_embd.weight": EMBED, "output_norm.weight": "model.norm.weight", "output.weight": HEAD}
parts = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
         "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
state = {}
for t in reader.tensors:
    value = torch.from_numpy(np.array(t.data)).float()
    name = names.get(t.name) or "model.layers.{}.{}.weight".format(t.name.split(".")[1], parts[t.name.split(".")[2]])
    if "q_proj" in name or "k_proj" in name:
        heads = 4
        value = value.reshape(heads, value.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(value.shape)
    state[name] = value
out["gguf"] = of({**json.loads((root / "gguf/config.json").read_text()), "dtype": "float32"}, state)

(root / "expected.json").write_text(json.dumps({"ids": IDS[0].tolist(), "losses": out}, indent=1) + "\n")
print(json.dumps(out, indent=1))
