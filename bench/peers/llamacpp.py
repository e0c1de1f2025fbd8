"""Times llama.cpp on a CPU with all its threads: a prompt, and tokens behind 32, random ids of seed 1.

usage: llamacpp.py MODEL.gguf [NEW_TOKENS] [PROMPT_TOKENS]
Each is run once over its full length to warm, then three times; the best counts. Prints one JSON line, with the size of the file
and the instruction sets that this build of llama.cpp uses.
"""

import json
import os
import random
import sys
import time
from importlib.metadata import version

import llama_cpp

path = sys.argv[1]
count = int(sys.argv[2]) if len(sys.argv) > 2 else 64
prompt = int(sys.argv[3]) if len(sys.argv) > 3 else 512
threads = len(os.sched_getaffinity(0))
model = llama_cpp.Llama(path, n_ctx=2048, n_batch=512, n_threads=threads, n_threads_batch=threads, logits_all=False, verbose=False)
random.seed(1)
ids = [random.randrange(300, model.n_vocab() - 300) for _ in range(max(prompt, 32))]


def best_of_three(work):
    seconds = []
    for _ in range(4):
        seconds.append(work())
    return min(seconds[1:])


def read():
    model.reset()
    start = time.time()
    model.eval(ids[:prompt])
    return time.time() - start


def generate():
    model.reset()
    model.eval(ids[:32])
    start = time.time()
    for i in range(count):
        model.eval([ids[(32 + i) % len(ids)]])
    return time.time() - start


prefill = best_of_three(read)
decode = best_of_three(generate)
info = llama_cpp.llama_print_system_info().decode()
print(
    json.dumps(
        {
            "model": os.path.basename(path),
            "mib": round(os.path.getsize(path) / 2**20, 1),
            "threads": threads,
            "prefill_tok_s": round(prompt / prefill, 1),
            "decode_tok_s": round(count / decode, 1),
            "build": " ".join(part.split("=")[0].strip() for part in info.split("|") if part.strip().endswith("= 1")),
            "versions": {"llama-cpp-python": version("llama-cpp-python")},
        }
    )
)
