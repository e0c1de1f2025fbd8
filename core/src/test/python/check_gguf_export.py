"""Judges GGUF files that `qlora export` wrote of one model: llama.cpp must load each, cut texts into the ids of tokenizer.json,
answer greedily as the F16 file does (floats alone), and have a perplexity within 1% of what its own quantizer makes of the F16 file.

Versions: llama-cpp-python 0.3.36, tokenizers 0.21.4, numpy 2. Not part of any build.
  python check_gguf_export.py MODEL_FOLDER TEXT_FILE FOLDER_WITH/NAME [TYPE ...]     of NAME-TYPE.gguf; NAME-F16.gguf must be there
"""
import ctypes, glob, math, os, sys
import numpy as np
import llama_cpp
from llama_cpp import Llama
from tokenizers import Tokenizer

FTYPES = {"Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25}
TEXTS = [
    "Hello! How are you?", "naïve café, 東京 は 2026年, Ελλάδα, עברית, 👩‍🚀🚀 \u200b€\tx", "  \n```java\nint  i = 1_000;\n```\n",
    "It's 3 o'clock, we'LL see... <b>bold</b> & $5,000.00", "xxx     \r\n\r\n.",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
]


def opened(path):
    return Llama(path, n_ctx=512, n_threads=1, logits_all=True, verbose=False)


def perplexity(model, text):
    ids = model.tokenize(text.encode(), add_bos=False, special=True)[:400]
    model.reset()
    model.eval(ids)
    scores = np.array(model.scores[: len(ids) - 1], dtype=np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return math.exp(-logs[np.arange(len(ids) - 1), ids[1:]].mean())


def greedy(model):
    prompt = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    return model(prompt, max_tokens=16, temperature=0)["choices"][0]["text"]


def quantized(f16, kind):
    out = f16.replace("-F16.gguf", "-peer-%s.gguf" % kind)
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = FTYPES[kind]
    params.nthread = 1
    assert llama_cpp.llama_model_quantize(f16.encode(), out.encode(), ctypes.byref(params)) == 0
    return out


folder, text, prefix = sys.argv[1], open(sys.argv[2]).read(), sys.argv[3]
reference = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
f16 = prefix + "-F16.gguf"
wanted = sys.argv[4:]
said = None
failed = False
for path in sorted(glob.glob(prefix + "-*.gguf"), key=lambda p: "F16" not in p):
    if "-peer-" in path:
        continue
    kind = path[len(prefix) + 1 : -5]
    if wanted and kind not in wanted:
        continue
    model = opened(path)
    same = all(model.tokenize(t.encode(), add_bos=False, special=True) == reference.encode(t, add_special_tokens=False).ids for t in TEXTS)
    answer, ours = greedy(model), perplexity(model, text)
    said = said or answer
    line = "%-8s %10d bytes  ids %s  perplexity %.4f" % (kind, os.path.getsize(path), "equal" if same else "DIFFER", ours)
    ok = same
    if kind in FTYPES:
        peer = quantized(f16, kind)
        theirs = perplexity(opened(peer), text)
        line += "  llama.cpp's %10d bytes %.4f (%+.2f%%)" % (os.path.getsize(peer), theirs, 100 * (ours / theirs - 1))
        ok &= ours / theirs < 1.01
        os.remove(peer)
    else:
        ok &= answer == said
    print(line, repr(answer[:60]), "" if ok else "FAILED", flush=True)
    failed |= not ok
sys.exit(failed)
