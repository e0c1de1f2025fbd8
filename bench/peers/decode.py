"""Times greedy decoding by transformers with bitsandbytes NF4 on a CPU, behind 32 random tokens of seed 1.

usage: decode.py MODEL_DIR [NEW_TOKENS]
float32 where the CPU has no bf16. One full run to warm, then the best of three. Prints one JSON line.
"""

import json
import os
import resource
import sys
import time
from importlib.metadata import version

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

directory = sys.argv[1]
count = int(sys.argv[2]) if len(sys.argv) > 2 else 64
held = os.environ.get("QLORA_CPU", "native") not in ("", "native")
with open("/proc/cpuinfo") as file:
    text = file.read()
bf16 = not held and ("avx512_bf16" in text or "amx_bf16" in text)
dtype = torch.bfloat16 if bf16 else torch.float32

quantization = BitsAndBytesConfig(
    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
)
model = AutoModelForCausalLM.from_pretrained(directory, quantization_config=quantization, dtype=dtype, device_map={"": "cpu"}).eval()
ids = torch.randint(0, model.config.vocab_size, (1, 32), generator=torch.Generator().manual_seed(1))
seconds = []
with torch.no_grad():
    for _ in range(4):
        start = time.time()
        model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, min_new_tokens=count, do_sample=False
        )
        seconds.append(time.time() - start)
print(
    json.dumps(
        {
            "model": os.path.basename(directory.rstrip("/")),
            "new_tokens": count,
            "dtype": str(dtype).removeprefix("torch."),
            "tok_s": round(count / min(seconds[1:]), 1),
            "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
            "threads": torch.get_num_threads(),
            "cpu": torch.backends.cpu.get_cpu_capability(),
            "versions": {name: version(name) for name in ("torch", "transformers", "bitsandbytes")},
        }
    )
)
