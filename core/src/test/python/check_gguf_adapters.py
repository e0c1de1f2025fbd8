"""Judges adapters that `qlora export` wrote for llama.cpp of the golden model of each family and its adapter in
core/src/test/resources/org/qlora4j/family/adapters: FAMILY-base.gguf (F32) with FAMILY-lora.gguf on it, and FAMILY-merged.gguf (F32), must
give PEFT's logits.

Versions: llama-cpp-python 0.3.36, safetensors 0.8, numpy 2. Not part of any build.
  python check_gguf_adapters.py ADAPTERS FOLDER_WITH_FILES
"""
import glob, os, sys
import numpy as np
from llama_cpp import Llama
from safetensors.numpy import load_file

adapters, folder = sys.argv[1:3]


def logits(path, ids, **more):
    model = Llama(path, n_ctx=64, logits_all=True, verbose=False, **more)
    model.eval(ids)
    return np.array(model.scores[: len(ids)])


failed = False
for path in sorted(glob.glob(os.path.join(folder, "*-lora.gguf"))):
    prefix = path[: -len("-lora.gguf")]
    golden = load_file(os.path.join(adapters, os.path.basename(prefix), "expected.safetensors"))
    ids = golden["ids"].reshape(-1).tolist()
    expected = golden["logits"].reshape(len(ids), -1)
    cases = {"lora": (prefix + "-base.gguf", {"lora_path": path}), "merged": (prefix + "-merged.gguf", {}), "base": (prefix + "-base.gguf", {})}
    far = {name: np.abs(logits(file, ids, **more) - expected).max() / np.abs(expected).max() for name, (file, more) in cases.items()}
    ok = far["lora"] < 5e-3 and far["merged"] < 5e-3 and far["base"] > 0.1  # keys and values are f16 there
    failed |= not ok
    print("%-16s of the largest logit: %s %s" % (os.path.basename(prefix), {k: "%.1e" % v for k, v in far.items()}, "" if ok else "FAILED"), flush=True)
sys.exit(failed)
