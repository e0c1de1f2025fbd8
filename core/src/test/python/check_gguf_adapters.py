"""Writes the golden model of each family and its adapter in core/src/test/resources/org/qlora4j/family/adapters for llama.cpp by `qlora export`
(the base and base + adapter in F32, the adapter alone) and judges them: the base with the adapter as LoRA, and the merged file, must give
PEFT's logits.

Versions: llama-cpp-python 0.3.36, safetensors 0.8, numpy 2. Not part of any build.
  python check_gguf_adapters.py GOLDEN/families core/src/test/resources EMPTY_FOLDER QLORA_COMMAND...
"""
import os, shutil, subprocess, sys
import numpy as np
from llama_cpp import Llama
from safetensors.numpy import load_file

goldens, resources, folder, command = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
FAMILIES = ["mistral-sliding", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3", "gpt2", "gpt-neox"]
# llama.cpp has no window for Mistral: the gate refuses the files, and logits are right as far as the window reaches
WINDOW = {"mistral-sliding": 7}
# llama.cpp computes GPT-NeoX' GELU by tanh where transformers takes erf, and keeps keys and values in f16
TOLERANCE = {"gpt-neox": 5e-2}


def exported(source, name, words, forced=False):
    path = os.path.join(folder, name + ".gguf")
    words = ["export", "--model", source, "--out", path] + words + ["--force"] * forced
    subprocess.check_output(command + words, stderr=subprocess.DEVNULL)
    return path.replace(".gguf", "-unchecked.gguf") if forced else path


def logits(path, ids, **more):
    model = Llama(path, n_ctx=64, logits_all=True, verbose=False, **more)
    model.eval(ids)
    return np.array(model.scores[: len(ids)])


failed = False
for family in FAMILIES:
    source = os.path.join(folder, family)
    os.makedirs(source)
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(os.path.join(goldens, family, name), os.path.join(source, name))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(os.path.join(resources, "tiny-llama", name), os.path.join(source, name))
    adapter, forced = os.path.join(resources, "org/qlora4j/family/adapters", family), family in WINDOW
    whole = ["--format", "gguf", "--type", "F32"]
    base = exported(source, family + "-base", whole, forced)
    merged = exported(source, family + "-merged", whole + ["--adapter", adapter], forced)
    lora = exported(source, family + "-lora", ["--format", "gguf-lora", "--adapter", adapter])
    golden = load_file(os.path.join(adapter, "expected.safetensors"))
    ids = golden["ids"]
    ids = ids.reshape(-1)[: WINDOW.get(family)].tolist()
    expected = golden["logits"].reshape(-1, golden["logits"].shape[-1])[: len(ids)]
    cases = {"lora": (base, {"lora_path": lora}), "merged": (merged, {}), "base": (base, {})}
    far = {name: np.abs(logits(file, ids, **more) - expected).max() / np.abs(expected).max() for name, (file, more) in cases.items()}
    near = TOLERANCE.get(family, 5e-3)
    ok = far["lora"] < near and far["merged"] < near and far["base"] > 0.1
    failed |= not ok
    print("%-16s of the largest logit: %s %s" % (family, {k: "%.1e" % v for k, v in far.items()}, "" if ok else "FAILED"), flush=True)
sys.exit(failed)
