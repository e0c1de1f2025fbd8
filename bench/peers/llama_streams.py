"""Times llama.cpp with several texts in one batch, as its server's slots compute them, with all threads of the CPU.

usage: llama_streams.py MODEL.gguf [STREAMS] [PROMPT_TOKENS] [NEW_TOKENS]
Random prompts of seed 1, greedy tokens; each answer's end is ignored, so that all have the same length. One text alone, then all
together, each once to warm and three times more; the best counts. Prints one JSON line.
"""

import ctypes
import json
import os
import random
import sys
import time
from importlib.metadata import version

import llama_cpp

path = sys.argv[1]
streams = int(sys.argv[2]) if len(sys.argv) > 2 else 16
prompt = int(sys.argv[3]) if len(sys.argv) > 3 else 64
count = int(sys.argv[4]) if len(sys.argv) > 4 else 64
threads = len(os.sched_getaffinity(0))
llama_cpp.llama_backend_init()
model = llama_cpp.llama_load_model_from_file(path.encode(), llama_cpp.llama_model_default_params())
params = llama_cpp.llama_context_default_params()
params.n_ctx = streams * (prompt + count + 32)
params.n_batch = params.n_ubatch = 512
params.n_seq_max = streams
params.n_threads = params.n_threads_batch = threads
context = llama_cpp.llama_new_context_with_model(model, params)
vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
memory = llama_cpp.llama_get_memory(context)
random.seed(1)
prompts = [[random.randrange(300, vocabulary - 300) for _ in range(prompt)] for _ in range(streams)]
batch = llama_cpp.llama_batch_init(512, 0, 1)


def decode(entries):
    """Entries (token, position, sequence, wants logits); the likeliest token behind each that wants them."""
    out = []
    for first in range(0, len(entries), 512):
        part = entries[first : first + 512]
        batch.n_tokens = len(part)
        for i, (token, position, sequence, logits) in enumerate(part):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, position, 1, logits
            batch.seq_id[i][0] = sequence
        if llama_cpp.llama_decode(context, batch) != 0:
            raise SystemExit("llama_decode failed")
        for i, entry in enumerate(part):
            if entry[3]:
                logits = llama_cpp.llama_get_logits_ith(context, i)
                out.append(max_index(logits))
    return out


def max_index(logits):
    import numpy

    return int(numpy.ctypeslib.as_array(ctypes.cast(logits, ctypes.POINTER(ctypes.c_float)), (vocabulary,)).argmax())


def run(sequences):
    llama_cpp.llama_memory_clear(memory, True)
    start = time.time()
    newest = decode([(token, i, s, i == prompt - 1) for s in range(sequences) for i, token in enumerate(prompts[s])])
    for step in range(count - 1):
        newest = decode([(newest[s], prompt + step, s, True) for s in range(sequences)])
    return time.time() - start


def best_of_three(sequences):
    return min([run(sequences) for _ in range(4)][1:])


alone = count / best_of_three(1)
together = streams * count / best_of_three(streams)
print(
    json.dumps(
        {
            "model": os.path.basename(path),
            "threads": threads,
            "streams": streams,
            "prompt": prompt,
            "new_tokens": count,
            "alone_tok_s": round(alone, 1),
            "together_tok_s": round(together, 1),
            "times_alone": round(together / alone, 2),
            "versions": {"llama-cpp-python": version("llama-cpp-python")},
        }
    )
)
