"""Judges GGUF files that `qlora export --format gguf --type F32` wrote of the golden model of each family (with the tokenizer of
tiny-llama, as GgufFamiliesGoldenTest copies it): llama.cpp must load each, give transformers' logits and its greedy tokens.

Versions: llama-cpp-python 0.3.36, safetensors 0.8, numpy 2. Not part of any build.
  python check_gguf_families.py GOLDEN/families FOLDER_WITH_NAME.gguf
"""
import glob, os, sys
import numpy as np
from llama_cpp import Llama
from safetensors.numpy import load_file

# llama.cpp computes GPT-NeoX' GELU by tanh where transformers takes erf, and keeps keys and values in f16
TOLERANCE = {"gpt-neox": 5e-2}
failed = False
for path in sorted(glob.glob(os.path.join(sys.argv[2], "*.gguf"))):
    family = os.path.basename(path)[:-5]
    golden = load_file(os.path.join(sys.argv[1], family, "expected.safetensors"))
    real = golden["attention_mask"][0].astype(bool)
    ids = golden["input_ids"][0][real].tolist()
    expected = golden["logits"][0][real]
    model = Llama(path, n_ctx=64, n_threads=2, logits_all=True, verbose=False)
    model.eval(ids)
    logits = np.array(model.scores[: len(ids)])
    difference = np.abs(logits - expected).max() / np.abs(expected).max()
    model.reset()
    prompt, said = golden["input_ids"][0][:6].tolist(), []
    model.eval(prompt)
    while len(said) < 12:
        last = np.array(model.scores[len(prompt) + len(said) - 1])
        last[2] = -np.inf  # the golden texts have no end
        said.append(int(last.argmax()))
        model.eval(said[-1:])
    wanted = golden["generate.greedy"].reshape(-1)[-12:].tolist()
    ok = difference < TOLERANCE.get(family, 5e-3) and said == wanted
    failed |= not ok
    print("%-20s logits %.1e of the largest, greedy %s %s" % (family, difference, "equal" if said == wanted else (said, wanted), "" if ok else "FAILED"), flush=True)
sys.exit(failed)
