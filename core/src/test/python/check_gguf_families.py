"""Writes the golden model of each family as GGUF (F32, with the tokenizer of tiny-llama) by `qlora export` and judges the files: llama.cpp must
load each, give transformers' logits and its greedy tokens.

Versions: llama-cpp-python 0.3.36, safetensors 0.8, numpy 2. Not part of any build.
  python check_gguf_families.py GOLDEN/families core/src/test/resources/tiny-llama EMPTY_FOLDER QLORA_COMMAND...
"""
import os, shutil, subprocess, sys
import numpy as np
from llama_cpp import Llama
from safetensors.numpy import load_file

goldens, tokenizer, folder, command = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
FAMILIES = ["llama", "llama-tied-mha", "llama3-rope", "llama-linear-rope", "mistral-sliding", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3",
            "gpt2", "gpt-neox"]
# llama.cpp has no window for Mistral: the gate refuses the file, and its logits are right as far as the window reaches
WINDOW = {"mistral-sliding": 7}
# llama.cpp computes GPT-NeoX' GELU by tanh where transformers takes erf, and keeps keys and values in f16
TOLERANCE = {"gpt-neox": 5e-2}
failed = False
for family in FAMILIES:
    source = os.path.join(folder, family)
    os.makedirs(source)
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(os.path.join(goldens, family, name), os.path.join(source, name))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(os.path.join(tokenizer, name), os.path.join(source, name))
    path, forced = os.path.join(folder, family + ".gguf"), family in WINDOW
    words = ["export", "--model", source, "--format", "gguf", "--type", "F32", "--out", path] + ["--force"] * forced
    subprocess.check_output(command + words, stderr=subprocess.DEVNULL)
    path = path.replace(".gguf", "-unchecked.gguf") if forced else path
    golden = load_file(os.path.join(goldens, family, "expected.safetensors"))
    real = golden["attention_mask"][0].astype(bool)
    reach = WINDOW.get(family)
    ids = golden["input_ids"][0][real][:reach].tolist()
    expected = golden["logits"][0][real][:reach]
    model = Llama(path, n_ctx=64, n_threads=2, logits_all=True, verbose=False)
    model.eval(ids)
    logits = np.array(model.scores[: len(ids)])
    difference = np.abs(logits - expected).max() / np.abs(expected).max()
    model.reset()
    prompt, said = golden["input_ids"][0][:6].tolist(), []
    model.eval(prompt)
    while len(said) < (12 if reach is None else reach - len(prompt) + 1):
        last = np.array(model.scores[len(prompt) + len(said) - 1])
        last[2] = -np.inf  # the golden texts have no end
        said.append(int(last.argmax()))
        model.eval(said[-1:])
    wanted = golden["generate.greedy"].reshape(-1)[-12:].tolist()[: len(said)]
    ok = difference < TOLERANCE.get(family, 5e-3) and said == wanted
    failed |= not ok
    print("%-20s logits %.1e of the largest, greedy %s %s" % (family, difference, "equal" if said == wanted else (said, wanted), "" if ok else "FAILED"), flush=True)
sys.exit(failed)
