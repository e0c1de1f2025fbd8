"""Makes core/src/test/resources/strangers/expected.json: the loss of transformers on checkpoints and of PEFT on adapters that
are odd but sound. The folders base (a random LLaMA of two layers), gguf (F32), adapter-half, adapter-resized and
adapter-same-size are inputs; bnb-skip (bitsandbytes, with layers left in 16 bits), torch (a model in shards of torch.save),
evil.bin and peft-* are made. The other cases are base with what the key says changed.

usage: make_stranger_references.py RESOURCES     core/src/test/resources/strangers
made with torch 2.10.0, transformers 5.23.0, peft 0.21.2, bitsandbytes 0.50.2, safetensors 0.8.0, gguf 0.19.0; seed 3
"""
import collections, json, os, sys, tempfile
from pathlib import Path

import bitsandbytes.functional as F
import numpy as np
import torch
from gguf import GGUFReader
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

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
        save_file({k: v.clone().contiguous() for k, v in tensors.items()}, Path(folder, "model.safetensors"), metadata={"format": "pt"})
        return loss(AutoModelForCausalLM.from_pretrained(folder))


out = {"base": of(config, tensors)}

# 01: the flag says tied, the head differs
out["tied-flag-own-head"] = of({**config, "tie_word_embeddings": True}, tensors)
# a head that is the embeddings once more
out["tied-flag-same-head"] = of({**config, "tie_word_embeddings": True}, {**tensors, HEAD: tensors[EMBED]})
tied = {k: v for k, v in tensors.items() if k != HEAD}
out["tied"] = of({**config, "tie_word_embeddings": True}, tied)

# the flag is not there: Gemma's default is true
gemma = {k: v for k, v in config.items() if k != "tie_word_embeddings"} | {"model_type": "gemma", "hidden_act": "gelu_pytorch_tanh"}
out["gemma-no-flag-own-head"] = of(gemma, tensors)

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
torch.manual_seed(3)
mixed = {**config, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 2,
         "num_key_value_heads": 1, "head_dim": 32, "initializer_range": 0.08, "tie_word_embeddings": False}
with tempfile.TemporaryDirectory() as folder:
    LlamaForCausalLM(LlamaConfig(**mixed)).bfloat16().save_pretrained(folder)
    skipped = ["lm_head", "model.layers.1.mlp", "model.layers.0.self_attn", "model.layers.2.self_attn.q_proj"]
    bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                              bnb_4bit_compute_dtype=torch.bfloat16, llm_int8_skip_modules=skipped)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, quantization_config=bits)
    model.save_pretrained(root / "bnb-skip")
    (root / "bnb-skip/generation_config.json").unlink(missing_ok=True)
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

# adapters of PEFT
def adapter(name, config, model_config=config, model_tensors=tensors, save_embedding_layers="auto", bin=False):
    torch.manual_seed(3)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(model_config))
        save_file({k: v.clone() for k, v in model_tensors.items()}, Path(folder, "model.safetensors"), metadata={"format": "pt"})
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(folder), config)
        with torch.no_grad():
            for key, p in model.named_parameters():
                if p.requires_grad:
                    p.add_(0.1 * torch.randn_like(p))
                if save_embedding_layers is True and "embed_tokens" in key:
                    p.add_(0.1 * torch.randn_like(p))
        model.save_pretrained(root / f"peft-{name}", save_embedding_layers=save_embedding_layers, safe_serialization=not bin)
        Path(root / f"peft-{name}/README.md").unlink(missing_ok=True)
        out[f"peft-{name}"] = loss(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), root / f"peft-{name}"))


TIED = {**config, "tie_word_embeddings": True}
lora = lambda **keys: LoraConfig(**{"r": 2, "lora_alpha": 3, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"} | keys)
adapter("tables", lora(target_modules=["embed_tokens", "lm_head", "q_proj"], rank_pattern={"lm_head": 3}))
adapter("tokens", lora(trainable_token_indices={"embed_tokens": [3, 9, 159], "lm_head": [9]}))
adapter("tokens-tied", lora(trainable_token_indices=[3, 9, 159]), TIED, tied)
adapter("tables-tied", lora(), TIED, tied, save_embedding_layers=True)
adapter("regex", lora(target_modules=r"(?P<all>model\.)layers\.(?P<n>\d)\.(self_attn|mlp)\.(?(all)[qv]_proj|none)",
                      rank_pattern={r"(?P<n>1)\.self_attn\.(?P<which>[qk])_proj(?(n)|x)": 3, r"layers\.(\d)\.self_attn\.v_proj": 1},
                      alpha_pattern={r"0\.self_attn\.(?#either)[qv]_proj": 5}))
adapter("bin", lora(), bin=True)

for name, rows in [("resized", 164), ("same-size", 160)]:  # made elsewhere
    model = AutoModelForCausalLM.from_pretrained(root / "base")
    model.resize_token_embeddings(rows)
    out[f"adapter-{name}"] = loss(PeftModel.from_pretrained(model, root / f"adapter-{name}"))

# a checkpoint of torch.save in shards, with a transposed tensor and two tensors in one storage
torch.manual_seed(3)
small = {**config, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "head_dim": 4, "initializer_range": 0.2}
state = {k: v.bfloat16() if "mlp" in k else v for k, v in LlamaForCausalLM(LlamaConfig(**small)).state_dict().items()}
up = "model.layers.0.mlp.up_proj.weight"
state[up] = state[up].t().contiguous().t()
gate = "model.layers.0.mlp.gate_proj.weight"
both = torch.cat([state[gate], state[gate] + 1])
state[gate] = both[:24]
torch_folder = root / "torch"
torch_folder.mkdir(exist_ok=True)
shards = [{k: v for k, v in state.items() if ("mlp" in k) == mlp} for mlp in (False, True)]
weight_map = {"model.layers.0.self_attn.rotary_emb.inv_freq": "pytorch_model-00001-of-00002.bin"}
for i, shard in enumerate(shards):
    name = f"pytorch_model-0000{i + 1}-of-00002.bin"
    torch.save(collections.OrderedDict((k, torch.nn.Parameter(v) if "norm" in k else v) for k, v in shard.items()), torch_folder / name)
    weight_map |= {k: name for k in shard}
(torch_folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}, indent=1) + "\n")
(torch_folder / "config.json").write_text(json.dumps(small, indent=1) + "\n")
out["torch"] = of({**small, "dtype": "float32"}, {k: v.float() for k, v in state.items()})


class Evil:
    def __reduce__(self):
        return (os.system, ("echo it ran",))


torch.save({"a": torch.ones(2), "b": Evil()}, root / "evil.bin")

(root / "expected.json").write_text(json.dumps({"ids": IDS[0].tolist(), "losses": out}, indent=1) + "\n")
print(json.dumps(out, indent=1))
