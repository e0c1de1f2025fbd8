"""Times PEFT + bitsandbytes QLoRA training on a CPU.

usage: train.py MODEL_DIR [--batch 4] [--seq 512] [--steps 6] [--warm 2] [--ckpt] [--rank 16] [--dtype auto|bf16|f32] [--autocast]
Random token ids from seed 1; all linear layers; NF4 with double quantization; torch's AdamW. Prints one JSON line: tokens a second
by the median step (every position counted), peak resident GiB, losses, dtype, what ATen uses of the CPU, versions.
"""

import argparse
import json
import os
import resource
import statistics
import time
from importlib.metadata import version

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, BitsAndBytesConfig


def has_bf16():
    """Whether the CPU has instructions for bf16 that QLORA_CPU does not take away."""
    if os.environ.get("QLORA_CPU", "native") not in ("", "native"):
        return False
    with open("/proc/cpuinfo") as file:
        text = file.read()
    return "avx512_bf16" in text or "amx_bf16" in text


parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--batch", type=int, default=4)
parser.add_argument("--seq", type=int, default=512)
parser.add_argument("--steps", type=int, default=6)
parser.add_argument("--warm", type=int, default=2)
parser.add_argument("--ckpt", action="store_true")
parser.add_argument("--rank", type=int, default=16)
parser.add_argument("--dtype", choices=["auto", "bf16", "f32"], default="auto", help="auto: f32 where the CPU has no bf16")
parser.add_argument("--autocast", action="store_true", help="bf16 autocast and bf16 adapters, where the CPU has bf16")
args = parser.parse_args()

torch.manual_seed(0)
bf16 = args.dtype == "bf16" or (args.dtype == "auto" and has_bf16())
dtype = torch.bfloat16 if bf16 else torch.float32
autocast = args.autocast and bf16

start = time.time()
quantization = BitsAndBytesConfig(
    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
)
model = AutoModelForCausalLM.from_pretrained(args.model, quantization_config=quantization, dtype=dtype, device_map={"": "cpu"})
load_s = time.time() - start
if args.ckpt:
    model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=True)
model.config.use_cache = False
lora = LoraConfig(r=args.rank, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
model = get_peft_model(model, lora, autocast_adapter_dtype=not autocast)
learnt = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(learnt, lr=2e-4)
model.train()

generator = torch.Generator().manual_seed(1)
seconds, losses = [], []
for step in range(args.warm + args.steps):
    ids = torch.randint(0, model.config.vocab_size, (args.batch, args.seq), generator=generator)
    start = time.time()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if step >= args.warm:
        seconds.append(time.time() - start)
    losses.append(round(loss.item(), 4))

median = statistics.median(seconds)
print(
    json.dumps(
        {
            "model": os.path.basename(args.model.rstrip("/")),
            "batch": args.batch,
            "seq": args.seq,
            "ckpt": args.ckpt,
            "dtype": str(dtype).removeprefix("torch.") + ("+autocast" if autocast else ""),
            "tok_s": round(args.batch * args.seq / median, 1),
            "step_s": round(median, 3),
            "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
            "load_s": round(load_s, 1),
            "trainable": sum(p.numel() for p in learnt),
            "threads": torch.get_num_threads(),
            "cpu": torch.backends.cpu.get_cpu_capability(),
            "versions": {name: version(name) for name in ("torch", "transformers", "peft", "bitsandbytes")},
            "losses": losses,
        }
    )
)
